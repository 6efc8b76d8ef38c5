import { Mutex } from '../lib/mutex.ts';
import { type ShutdownSignals, sleep } from '../lib/shutdown.ts';

interface Sent {
  readonly startedMs: number;
  /** When it was written to the connection; undefined while it is not answered. */
  sentMs: number | undefined;
}

/**
 * Limits requests to `perSecond` in any window of one second, as the server sees them. A request counts from when it was
 * written (a new connection takes its time before that); one that is not answered yet counts as if it were sent now.
 */
export class RateLimiter {
  #limit = 1;
  #windowMs = 0;
  readonly #now: () => number;
  #sent: Sent[] = [];
  readonly #mutex = new Mutex();
  #pausedUntilMs = 0;

  /**
   * @param now monotonic milliseconds
   * @param before the limiter that this one replaces: its requests and its pause still count
   */
  constructor(perSecond: number, now: () => number, before?: RateLimiter) {
    this.setRate(perSecond);
    this.#now = now;
    if (before === undefined) return;
    this.#sent = [...before.#sent];
    this.#pausedUntilMs = before.#pausedUntilMs;
  }

  /** Requests sent before still count. */
  setRate(perSecond: number): void {
    this.#limit = Math.max(1, Math.floor(perSecond));
    // Below one per second the window grows instead. The margin covers jitter on the way and a coarse server clock.
    this.#windowMs = Math.max(1000, 1000 / perSecond) + 15;
  }

  /** No request for `ms` from now. */
  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#now() + ms);
  }

  /**
   * Waits until a request may be sent, in order of arrival; undefined if `signals.graceful` fires first. Call the result
   * when the answer is there, with the time at which the request was written.
   */
  acquire(signals: ShutdownSignals): Promise<((sentMs?: number) => void) | undefined> {
    return this.#mutex.take(async () => {
      for (;;) {
        if (signals.graceful.aborted) return undefined;
        const waitMs = this.#waitMs();
        if (waitMs <= 0) break;
        await sleep(waitMs, signals.graceful);
      }
      const sent: Sent = { startedMs: this.#now(), sentMs: undefined };
      this.#sent.push(sent);
      return (sentMs) => {
        sent.sentMs ??= sentMs ?? this.#now();
      };
    });
  }

  #waitMs(): number {
    const now = this.#now();
    // A request without an answer for two windows has arrived long ago, or never will.
    const countsFrom = ({ startedMs, sentMs }: Sent) =>
      sentMs ?? (now - startedMs > 2 * this.#windowMs ? startedMs : now);
    this.#sent = this.#sent.filter((sent) => countsFrom(sent) > now - this.#windowMs);
    const pauseMs = this.#pausedUntilMs - now;
    if (this.#sent.length < this.#limit) return pauseMs;
    const times = this.#sent.map(({ sentMs }) => sentMs).filter((ms) => ms !== undefined);
    return Math.max(pauseMs, times.length === 0 ? 20 : Math.min(...times) + this.#windowMs - now, 1);
  }
}
