const bucketMs = 5_000;
const buckets = 12;

/** Events per second over the last minute. */
export class Rate {
  readonly #counts: number[] = new Array(buckets).fill(0);
  #current = 0;
  #sinceMs: number | undefined;

  /** `atMs`: monotonic milliseconds. */
  add(events: number, atMs: number): void {
    this.#sinceMs ??= atMs;
    this.#turn(atMs);
    const at = this.#current % buckets;
    this.#counts[at] = (this.#counts[at] ?? 0) + events;
  }

  perSecond(atMs: number): number {
    if (this.#sinceMs === undefined) return 0;
    this.#turn(atMs);
    const events = this.#counts.reduce((sum, count) => sum + count, 0);
    // The minute is not full at first, and its current piece never is.
    const spanMs = Math.min(atMs - this.#sinceMs, (buckets - 1) * bucketMs + (atMs % bucketMs));
    return events / (Math.max(spanMs, bucketMs) / 1000);
  }

  #turn(atMs: number): void {
    const now = Math.floor(atMs / bucketMs);
    for (let bucket = Math.max(this.#current + 1, now - buckets + 1); bucket <= now; bucket++)
      this.#counts[bucket % buckets] = 0;
    this.#current = Math.max(this.#current, now);
  }
}
