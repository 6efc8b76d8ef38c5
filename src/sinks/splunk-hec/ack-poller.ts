import { sleep } from '../../lib/shutdown.ts';

/** How soon acknowledgements are asked about, milliseconds: the first wait, and the longest after doubling. */
export interface PollInterval {
  readonly firstMs: number;
  readonly longestMs: number;
  /** The first wait while someone hurries; the longest is then `firstMs`. */
  readonly hurryMs: number;
}

/** Splunk suggests every 10 s; sooner after something was sent, since most acknowledgements come within seconds. */
export const defaultPollInterval: PollInterval = { firstMs: 1_000, longestMs: 10_000, hurryMs: 250 };

export interface AckPollerOptions {
  readonly pace: PollInterval;
  /** Milliseconds on a clock that nobody sets. */
  readonly elapsed: () => number;
  /** Whether there is anything to ask about. */
  readonly any: () => boolean;
  /** Asks once about everything; true where something was learnt. Throws only when `signal` fires. */
  readonly ask: (signal: AbortSignal) => Promise<boolean>;
}

/** The rhythm of the questions: a loop that runs while there is something to ask about, one question at a time. */
export class AckPoller {
  readonly #options: AckPollerOptions;
  readonly #closing = new AbortController();
  #alarm = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #running = false;
  #nextAtMs = Number.POSITIVE_INFINITY;
  #notBeforeMs = 0;
  #waitMs: number;
  #hurried = 0;

  constructor(options: AckPollerOptions) {
    this.#options = options;
    this.#waitMs = options.pace.firstMs;
  }

  /** Something was sent: the rhythm begins anew. */
  begin(): void {
    this.#waitMs = this.#shortestMs;
    this.within(this.#waitMs);
  }

  /** The next question comes in `ms` at the latest. */
  within(ms: number): void {
    if (this.#closing.signal.aborted || !this.#options.any()) return;
    this.#nextAtMs = Math.min(this.#nextAtMs, this.#options.elapsed() + ms);
    this.#alarm.abort();
    if (this.#running) return;
    this.#running = true;
    this.#loop = this.#run();
  }

  /** The other side wants no question for `ms`. */
  rest(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#options.elapsed() + ms);
  }

  /** Asks faster until `until` resolves; it must not reject. */
  async hurry(until: Promise<unknown>): Promise<void> {
    this.#hurried++;
    this.begin();
    await until;
    this.#hurried--;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.abort();
    await this.#loop;
  }

  get #shortestMs(): number {
    return this.#hurried > 0 ? this.#options.pace.hurryMs : this.#options.pace.firstMs;
  }

  async #run(): Promise<void> {
    const { pace, elapsed, any, ask } = this.#options;
    const { signal } = this.#closing;
    while (any() && !signal.aborted) {
      const leftMs = Math.max(this.#nextAtMs, this.#notBeforeMs) - elapsed();
      if (leftMs > 0) {
        this.#alarm = new AbortController();
        await sleep(leftMs, this.#alarm.signal);
        continue;
      }
      this.#nextAtMs = Number.POSITIVE_INFINITY;
      let learnt = false;
      try {
        learnt = await ask(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      const longestMs = this.#hurried > 0 ? pace.firstMs : pace.longestMs;
      this.#waitMs = learnt ? this.#shortestMs : Math.min(longestMs, this.#waitMs * 2);
      this.#nextAtMs = Math.min(this.#nextAtMs, elapsed() + this.#waitMs);
    }
    this.#running = false;
    this.#nextAtMs = Number.POSITIVE_INFINITY;
  }
}
