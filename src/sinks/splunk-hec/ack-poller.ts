import { backoffMs } from '../../lib/backoff.ts';
import { Notifier } from '../../lib/notifier.ts';

/** How soon acknowledgements are asked about, milliseconds: the first wait, and the longest after doubling. */
export interface PollInterval {
  readonly firstMs: number;
  readonly longestMs: number;
  /** The first wait while `hurry` runs; the longest is then `firstMs`. */
  readonly hurryMs: number;
}

/** Splunk suggests 10 s; sooner after something was sent, since most acknowledgements come within seconds. */
export const defaultPollInterval: PollInterval = { firstMs: 1_000, longestMs: 10_000, hurryMs: 250 };

/** How long a pipeline that ends waits for the answer to a poll that is on its way. */
const lastAnswerMs = 1_000;
/** The longest time that a timer of Node can measure. */
const maxTimerMs = 2 ** 31 - 1;

export interface AckPollerOptions {
  readonly interval: PollInterval;
  /** Milliseconds on a monotonic clock. */
  readonly elapsed: () => number;
  /** When the earliest pending acknowledgement is due, on that clock; undefined if none is pending. */
  readonly earliestDueMs: () => number | undefined;
  /** Asks once about everything pending; true if something was acknowledged. @throws if `signal` fires, and only then */
  readonly poll: (signal: AbortSignal) => Promise<boolean>;
}

/**
 * When acknowledgements are asked about: a loop that runs while any is pending, one poll at a time. The wait doubles with
 * each poll that brings nothing, and starts over after one that does, or after a batch was sent.
 */
export class AckPoller {
  readonly #options: AckPollerOptions;
  readonly #closing = new AbortController();
  readonly #changed = new Notifier();
  #loop: Promise<void> = Promise.resolve();
  #isRunning = false;
  #current: { readonly answered: Promise<boolean>; readonly abort: AbortController } | undefined;
  #nextAtMs = Number.POSITIVE_INFINITY;
  #notBeforeMs = 0;
  /** Polls in a row that brought nothing. */
  #quiet = 0;
  #hurrying = 0;

  constructor(options: AckPollerOptions) {
    this.#options = options;
  }

  /** A batch was sent: start over with the first wait. */
  start(): void {
    this.#quiet = 0;
    this.#schedule(this.#waitMs);
  }

  pollNow(): void {
    this.#schedule(0);
  }

  /** The other side asked for no poll in the next `ms`. */
  pause(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#options.elapsed() + ms);
  }

  /** Polls faster until `until` settles. */
  async hurry(until: Promise<unknown>): Promise<void> {
    this.#hurrying++;
    try {
      this.start();
      await until;
    } finally {
      this.#hurrying--;
    }
  }

  /**
   * Waits for the answer to a poll that is on its way, since an acknowledgement is reported only once: until a second after
   * `kill` at most. No poll starts in the second after that, because its answer might come too late to be saved.
   */
  async lastAnswer(kill: AbortSignal): Promise<void> {
    if (this.#current !== undefined) {
      const { answered, abort } = this.#current;
      let timer: NodeJS.Timeout | undefined;
      const onKill = () => {
        timer = setTimeout(() => abort.abort(), lastAnswerMs);
      };
      if (kill.aborted) onKill();
      else kill.addEventListener('abort', onKill);
      await Promise.allSettled([answered]);
      clearTimeout(timer);
      kill.removeEventListener('abort', onKill);
    }
    this.pause(lastAnswerMs);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.lastAnswer(this.#closing.signal);
    await this.#loop;
  }

  get #waitMs(): number {
    const { firstMs, longestMs, hurryMs } = this.#options.interval;
    const backoff = this.#hurrying > 0 ? { firstMs: hurryMs, longestMs: firstMs } : { firstMs, longestMs };
    return backoffMs(backoff, this.#quiet + 1, () => 1);
  }

  /** The next poll comes in `ms` at the latest. */
  #schedule(ms: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, this.#options.elapsed() + ms);
    this.#changed.notify();
    if (this.#isRunning || this.#closing.signal.aborted) return;
    this.#isRunning = true;
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    const { elapsed, earliestDueMs } = this.#options;
    const { signal } = this.#closing;
    for (let dueMs = earliestDueMs(); dueMs !== undefined && !signal.aborted; dueMs = earliestDueMs()) {
      const leftMs = Math.max(Math.min(this.#nextAtMs, dueMs), this.#notBeforeMs) - elapsed();
      if (leftMs > 0) await this.#changed.wait(signal, Math.min(leftMs, maxTimerMs));
      else await this.#pollOnce();
    }
    this.#nextAtMs = Number.POSITIVE_INFINITY;
    this.#isRunning = false;
  }

  async #pollOnce(): Promise<void> {
    this.#nextAtMs = Number.POSITIVE_INFINITY;
    const abort = new AbortController();
    const answered = this.#options.poll(abort.signal);
    this.#current = { answered, abort };
    try {
      this.#quiet = (await answered) ? 0 : this.#quiet + 1;
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      this.#current = undefined;
    }
    this.#nextAtMs = Math.min(this.#nextAtMs, this.#options.elapsed() + this.#waitMs);
  }
}
