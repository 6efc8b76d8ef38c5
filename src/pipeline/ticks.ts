/** Polls to come: `next` gives the latest tick later than `last` (monotonic milliseconds), undefined where `stop` fires. */
export interface Ticks {
  next(last: number, stop: AbortSignal): Promise<number | undefined>;
}
