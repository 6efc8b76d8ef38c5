/** A moment, by this machine's monotonic clock and, if it is known, by the server's. */
export interface Moment {
  /** Milliseconds of the monotonic clock (performance.now). */
  readonly monotonicMs: number;
  /** Milliseconds since the epoch by the server's clock (its Date header); undefined if it sent none. */
  readonly serverMs: number | undefined;
}
