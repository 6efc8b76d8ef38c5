import type { Verdict } from '../../lib/verdict.ts';
import type { Ranges } from './ack-circuit-breaker.ts';

/** Longest time a timer can measure, milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

export interface PendingAckOptions {
  readonly ackId: number;
  readonly ranges: Ranges;
  /** Milliseconds since the epoch. */
  readonly sentAtMs: number;
  /** Time left for its acknowledgement, milliseconds; none where it is not positive. */
  readonly leftMs: number;
  /** Called once when that is over. */
  readonly onDue: () => void;
  /** Gives the wait up with its reason; a batch of an earlier process has none. */
  readonly kill: AbortSignal | undefined;
}

/**
 * A batch whose acknowledgement has not come. Modes: waiting → due (the next answer about it is the last, and a question
 * without one is asked once more) → settled; or abandoned: nobody waits any more, it is not asked about either (a `true`
 * is told only once), and it stays for the journal.
 */
export class PendingAck {
  readonly ackId: number;
  readonly ranges: Ranges;
  readonly sentAtMs: number;
  readonly confirmed: Promise<Verdict>;
  /** Its acknowledgement was told, which happens once; believed only when nothing is on its way that could have got its number. */
  told = false;
  #resolve: (verdict: Verdict) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #kill: AbortSignal | undefined;
  #due: boolean;
  #abandoned = false;
  #lastChance = true;

  constructor({ ackId, ranges, sentAtMs, leftMs, onDue, kill }: PendingAckOptions) {
    this.ackId = ackId;
    this.ranges = ranges;
    this.sentAtMs = sentAtMs;
    this.#kill = kill;
    this.confirmed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.confirmed.catch(() => {}); // whoever waits sees it; nobody has to
    this.#due = leftMs <= 0;
    const due = () => {
      this.#due = true;
      onDue();
    };
    if (!this.#due) this.#timer = setTimeout(due, Math.min(leftMs, longestTimerMs));
    if (kill?.aborted === true) this.#killed();
    else kill?.addEventListener('abort', this.#killed);
  }

  /** Sent by this process. */
  get isOwn(): boolean {
    return this.#kill !== undefined;
  }

  get due(): boolean {
    return this.#due;
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** It is due and a question about it got no answer; true where that may not happen again. */
  takeLastChance(): boolean {
    const had = this.#lastChance;
    this.#lastChance = false;
    return had;
  }

  settle(verdict: Verdict): void {
    this.#release();
    this.#resolve(verdict);
  }

  /** The sink closes. What this process sent counts as not confirmed; of an earlier one's batch nothing was learnt. */
  close(reason: unknown): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#release();
    if (this.#kill === undefined) this.#reject(reason);
    else this.#resolve({ kind: 'retry', reason: 'network', detail: 'closed before the acknowledgement came' });
  }

  readonly #killed = () => {
    this.#abandoned = true;
    this.#release();
    this.#reject(this.#kill?.reason);
  };

  #release(): void {
    clearTimeout(this.#timer);
    this.#kill?.removeEventListener('abort', this.#killed);
  }
}
