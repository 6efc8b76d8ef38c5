import { Mutex } from '../lib/mutex.ts';
import { type ShutdownSignals, sleep } from '../lib/shutdown.ts';

interface Taken {
  readonly startedMs: number;
  /** When it was on the wire; unknown while it is not answered. */
  sentMs: number | undefined;
}

/**
 * Keeps to `perSecond` requests in any one-second window, as the server sees them. A request counts from when it was on
 * the wire (a new connection takes its time before that), one that is not answered yet as if it were sent now.
 */
export class RateLimiter {
  #limit = 1;
  #windowMs = 0;
  readonly #now: () => number;
  #taken: Taken[] = [];
  readonly #turns = new Mutex();
  #heldUntilMs = 0;

  /**
   * @param now monotonic milliseconds
   * @param before the pace that was kept until now: what it let through and was told to wait for counts on
   */
  constructor(perSecond: number, now: () => number, before?: RateLimiter) {
    this.allow(perSecond);
    this.#now = now;
    if (before === undefined) return;
    this.#taken = [...before.#taken];
    this.#heldUntilMs = before.#heldUntilMs;
  }

  /** From now on so many; what was let through before counts on. */
  allow(perSecond: number): void {
    this.#limit = Math.max(1, Math.floor(perSecond));
    // Below one a second the window grows instead. The margin covers jitter on the way and a coarse server clock.
    this.#windowMs = Math.max(1000, 1000 / perSecond) + 15;
  }

  /** Nobody asks before `ms` from now. */
  hold(ms: number): void {
    this.#heldUntilMs = Math.max(this.#heldUntilMs, this.#now() + ms);
  }

  /**
   * Waits for a turn, first come first served; undefined where `signals.graceful` fires first. Call the result at the answer,
   * with when the request was on the wire.
   */
  turn(signals: ShutdownSignals): Promise<((sentMs?: number) => void) | undefined> {
    return this.#turns.take(async () => {
      for (;;) {
        if (signals.graceful.aborted) return undefined;
        const waitMs = this.#waitMs();
        if (waitMs <= 0) break;
        await sleep(waitMs, signals.graceful);
      }
      const taken: Taken = { startedMs: this.#now(), sentMs: undefined };
      this.#taken.push(taken);
      return (sentMs) => {
        taken.sentMs ??= sentMs ?? this.#now();
      };
    });
  }

  #waitMs(): number {
    const now = this.#now();
    // One that hangs for two windows has long arrived, or never will.
    const countsFrom = ({ startedMs, sentMs }: Taken) =>
      sentMs ?? (now - startedMs > 2 * this.#windowMs ? startedMs : now);
    this.#taken = this.#taken.filter((taken) => countsFrom(taken) > now - this.#windowMs);
    const held = this.#heldUntilMs - now;
    if (this.#taken.length < this.#limit) return held;
    const sent = this.#taken.map(({ sentMs }) => sentMs).filter((ms) => ms !== undefined);
    return Math.max(held, sent.length === 0 ? 20 : Math.min(...sent) + this.#windowMs - now, 1);
  }
}
