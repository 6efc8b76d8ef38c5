import { type Life, sleep } from '../core/life.ts';

interface Taken {
  readonly startedMs: number;
  endedMs: number | undefined;
}

/**
 * Keeps to `perSecond` requests in any one-second window, as the server sees them: a request may reach it at any moment
 * between its start and its answer, so it counts until a second after the answer.
 */
export class Pace {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  #taken: Taken[] = [];
  #turn: Promise<void> = Promise.resolve();
  #heldUntilMs = 0;

  /** @param now monotonic milliseconds */
  constructor(perSecond: number, now: () => number) {
    this.#limit = Math.max(1, Math.floor(perSecond));
    // Below one a second the window grows instead. The margin covers timers that fire early and a coarse server clock.
    this.#windowMs = (1000 * this.#limit) / perSecond + 15;
    this.#now = now;
  }

  /** Nobody asks before `ms` from now. */
  hold(ms: number): void {
    this.#heldUntilMs = Math.max(this.#heldUntilMs, this.#now() + ms);
  }

  /** Waits for a turn, first come first served; undefined where `life.stop` fires first. Call the result at the answer. */
  async turn(life: Life): Promise<(() => void) | undefined> {
    const before = this.#turn;
    let next: () => void = () => {};
    this.#turn = new Promise((resolve) => {
      next = resolve;
    });
    try {
      await before;
      for (;;) {
        if (life.stop.aborted) return undefined;
        const waitMs = this.#waitMs();
        if (waitMs <= 0) break;
        await sleep(waitMs, life.stop);
      }
    } finally {
      next();
    }
    const taken: Taken = { startedMs: this.#now(), endedMs: undefined };
    this.#taken.push(taken);
    return () => {
      taken.endedMs ??= this.#now();
    };
  }

  #waitMs(): number {
    const now = this.#now();
    // One that hangs for two windows has long arrived, or never will.
    const counts = (t: Taken) =>
      (t.endedMs ?? Math.max(now, t.startedMs) - (now > t.startedMs + 2 * this.#windowMs ? this.#windowMs : 0)) >
      now - this.#windowMs;
    this.#taken = this.#taken.filter(counts);
    const held = this.#heldUntilMs - now;
    if (this.#taken.length < this.#limit) return held;
    const ends = this.#taken.map((t) => t.endedMs).filter((ms) => ms !== undefined);
    const soonest = ends.length === 0 ? 20 : Math.min(...ends) + this.#windowMs - now;
    return Math.max(held, Math.min(soonest, 20 + this.#windowMs), 1);
  }
}
