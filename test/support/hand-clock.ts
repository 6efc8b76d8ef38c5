/** A clock that moves only on request: epoch and monotonic milliseconds. */
export class HandClock {
  epochMs = Date.UTC(2026, 0, 1, 12);
  monotonicMs = 1_000_000;

  readonly read = () => ({ epochMs: this.epochMs, monotonicMs: this.monotonicMs });

  pass(ms: number): void {
    this.epochMs += ms;
    this.monotonicMs += ms;
  }
}
