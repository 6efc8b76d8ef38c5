/** A moment as far as it is known: by this machine's monotonic clock, and by the server's where it said its own. */
export interface Moment {
  /** Milliseconds of the monotonic clock (performance.now). */
  readonly monotonicMs: number;
  /** Milliseconds since the epoch by the server's clock (its Date header); undefined where it gave none. */
  readonly serverMs: number | undefined;
}
