import { randomUUID } from 'node:crypto';
import type { IdRange } from '../../event/id-ranges.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { Cookies } from './cookies.ts';
import type { HecChannel, Outcome } from './requests.ts';

/** A channel that was idle for so long may be gone on the server (`maxIdleTime` of inputs.conf, 600 s by default). */
const idleMs = 120_000;

/** On a monotonic clock unless it says otherwise; milliseconds. */
export interface PendingAckOptions {
  readonly ackId: number;
  readonly ranges: readonly IdRange[];
  /** Milliseconds since the epoch. */
  readonly sentAtMs: number;
  readonly dueAtMs: number;
  /** Ends the wait; a batch of an earlier process has none. */
  readonly kill: AbortSignal | undefined;
}

/**
 * A batch that was sent and is not acknowledged.
 *
 * - waiting: polls ask about it. From `dueAtMs` on the next answer decides; a poll without any answer is repeated once.
 * - settled: `confirmed` has its verdict.
 * - abandoned: the kill signal fired, or the sink closed. It is not asked about again, since the server reports an
 *   acknowledgement only once and it could no longer be recorded. It stays in the checkpoint for the next process.
 *
 * For the same reason a poll that is on its way when the kill signal fires is awaited first: its answer still counts.
 */
export class PendingAck {
  readonly ackId: number;
  readonly ranges: readonly IdRange[];
  readonly sentAtMs: number;
  readonly confirmed: Promise<Verdict>;
  /** When the next answer decides. */
  dueAtMs: number;
  /** A poll after `dueAtMs` had no answer and was repeated. */
  repeated = false;
  /** The server reported it, but see `Acknowledgements` for when that is believed. */
  acked = false;
  readonly #kill: AbortSignal | undefined;
  readonly #resolve: (verdict: Verdict) => void;
  readonly #reject: (reason: unknown) => void;
  #isPolled = false;
  #isDone = false;

  constructor({ ackId, ranges, sentAtMs, dueAtMs, kill }: PendingAckOptions) {
    this.ackId = ackId;
    this.ranges = ranges;
    this.sentAtMs = sentAtMs;
    this.dueAtMs = dueAtMs;
    this.#kill = kill;
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
    this.confirmed = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => {}); // A rejection that has no listener is no error: who awaits `confirmed` still gets it.
    kill?.addEventListener('abort', this.#onKill);
    if (kill?.aborted === true) this.#onKill();
  }

  /** Sent by this process. */
  get isOwn(): boolean {
    return this.#kill !== undefined;
  }

  /** Neither settled nor abandoned. */
  get isWaiting(): boolean {
    return !this.#isDone;
  }

  /** A poll about it is on its way until the result is disposed of. */
  polled(): Disposable {
    this.#isPolled = true;
    return {
      [Symbol.dispose]: () => {
        this.#isPolled = false;
        if (this.#kill?.aborted === true) this.#onKill();
      },
    };
  }

  settle(verdict: Verdict): void {
    this.#end();
    this.#resolve(verdict);
  }

  /** The sink closes: a batch of this process counts as not confirmed, one of an earlier process stays unknown. */
  close(reason: unknown): void {
    this.#end();
    if (!this.isOwn) this.#reject(reason);
    else this.#resolve({ kind: 'retry', reason: 'network', detail: 'closed before the acknowledgement came' });
  }

  readonly #onKill = () => {
    if (this.#isPolled) return;
    this.#end();
    this.#reject(this.#kill?.reason);
  };

  #end(): void {
    this.#isDone = true;
    this.#kill?.removeEventListener('abort', this.#onKill);
  }
}

/**
 * A request channel. ackIds count up on it as long as one indexer answers. As soon as another one may have answered, it is
 * retired: nothing new is sent on it, and only what is pending on it is asked about.
 */
export class Channel implements HecChannel {
  readonly id: string;
  readonly cookies: Cookies;
  /** By ackId. */
  readonly pending = new Map<number, PendingAck>();
  /** A batch is on its way, or its answer is not evaluated yet. */
  isPosting = false;
  #isRetired = false;
  #isAnswered = false;
  #lastAckId = -1;
  #usedAtMs: number;

  private constructor(id: string, cookies: Cookies, nowMs: number) {
    this.id = id;
    this.cookies = cookies;
    this.#usedAtMs = nowMs;
  }

  /** `nowMs` is on a monotonic clock. */
  static open(nowMs: number): Channel {
    return new Channel(randomUUID(), new Cookies(), nowMs);
  }

  /** A channel of an earlier process, only to ask about. */
  static resume(id: string, cookies: Cookies): Channel {
    const channel = new Channel(id, cookies, 0);
    channel.#isRetired = true;
    return channel;
  }

  /** Whether something new may be sent on it. */
  isUsable(nowMs: number): boolean {
    return !this.#isRetired && (this.pending.size > 0 || nowMs - this.#usedAtMs < idleMs);
  }

  get waiting(): PendingAck[] {
    return Array.from(this.pending.values()).filter(({ isWaiting }) => isWaiting);
  }

  retire(): void {
    this.#isRetired = true;
  }

  /** Records a request. Retires the channel if it may have reached another indexer than those before. */
  record({ answer, cookiesChanged }: Outcome, nowMs: number): void {
    this.#usedAtMs = nowMs;
    if (answer === undefined || answer.status >= 500 || (cookiesChanged && this.#isAnswered)) this.#isRetired = true;
    if (answer !== undefined) this.#isAnswered = true;
  }

  /** Records a new ackId. False if it is not above the last one: the indexer restarted its count, or is another one. */
  advance(ackId: number): boolean {
    const advances = ackId > this.#lastAckId;
    this.#lastAckId = ackId;
    if (!advances) this.#isRetired = true;
    return advances;
  }
}
