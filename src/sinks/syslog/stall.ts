/** For how long a peer has acknowledged nothing of what it owes. */
export class Stall {
  #acknowledged = 0;
  #steps = 0;

  /** Steps in a row, this one included, in which none of the bytes up to `owed` came to be acknowledged. */
  steps(acknowledged: number, owed: number): number {
    const stalled = acknowledged < owed && acknowledged <= this.#acknowledged;
    this.#acknowledged = acknowledged;
    this.#steps = stalled ? this.#steps + 1 : 0;
    return this.#steps;
  }

  /** For another connection. */
  reset(): void {
    this.#acknowledged = 0;
    this.#steps = 0;
  }
}
