/**
 * Errors that reach no caller: a rejection that nothing awaits, a throw in a timer. They are bugs and end the program, unless
 * foreign code that runs in it is known to be their origin.
 */
export class StrayErrors {
  readonly #claims = new Set<(error: unknown) => boolean>();

  /** `claim` reports the error and returns true if it is of foreign code. */
  register(claim: (error: unknown) => boolean): void {
    this.#claims.add(claim);
  }

  isClaimed(error: unknown): boolean {
    return [...this.#claims].some((claim) => claim(error));
  }
}
