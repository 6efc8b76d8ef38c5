import { randomUUID } from 'node:crypto';
import { Cookies } from './cookies.ts';
import type { PendingAck } from './pending-ack.ts';
import type { HecChannel, Outcome } from './requests.ts';

/** A channel that was not used for so long may be gone on the other side (`maxIdleTime`, 600 s by default). */
const idleMs = 120_000;

/**
 * A request channel: as long as one indexer answers, ackIds count up on it. As soon as another may have answered it is
 * retired: nothing new goes to it, and only what is open on it is still asked about.
 */
export class Channel implements HecChannel {
  readonly id: string;
  readonly cookies: Cookies;
  readonly open = new Map<number, PendingAck>();
  #posting = 0;
  #retired = false;
  #answered = false;
  #last = -1;
  #usedAtMs: number;

  private constructor(id: string, cookies: Cookies, nowMs: number) {
    this.id = id;
    this.cookies = cookies;
    this.#usedAtMs = nowMs;
  }

  /** `nowMs` is on a clock that nobody sets. */
  static fresh(nowMs: number): Channel {
    return new Channel(randomUUID(), new Cookies(), nowMs);
  }

  /** A channel of an earlier process: only to ask about. */
  static former(id: string, cookies: Cookies): Channel {
    const channel = new Channel(id, cookies, 0);
    channel.#retired = true;
    return channel;
  }

  /** Whether something new may go to it. */
  usable(nowMs: number): boolean {
    return !this.#retired && (this.open.size > 0 || nowMs - this.#usedAtMs < idleMs);
  }

  /** A batch is on its way, or its ackId not yet looked at. */
  get isPosting(): boolean {
    return this.#posting > 0;
  }

  /** Until disposed of. */
  posting(): Disposable {
    this.#posting++;
    return { [Symbol.dispose]: () => void this.#posting-- };
  }

  /** Whose acknowledgements somebody waits for. */
  get waiting(): PendingAck[] {
    return Array.from(this.open.values()).filter((open) => !open.abandoned);
  }

  /** The one with the number that a new count begins with, if it is waited for. */
  get first(): PendingAck | undefined {
    return this.waiting.find(({ ackId }) => ackId === 0);
  }

  retire(): void {
    this.#retired = true;
  }

  /** Retires it where the request may have reached another indexer than those before. */
  note({ answer, cookiesChanged }: Outcome, nowMs: number): void {
    this.#usedAtMs = nowMs;
    if (answer === undefined || answer.status >= 500 || (cookiesChanged && this.#answered)) this.#retired = true;
    if (answer !== undefined) this.#answered = true;
  }

  /** Takes the ackId just given. False where it is not beyond the last one: the indexer has begun anew, or is another. */
  advances(ackId: number): boolean {
    const beyond = ackId > this.#last;
    this.#last = ackId;
    if (!beyond) this.#retired = true;
    return beyond;
  }
}

/** Whether a batch may have got an ackId that nobody told: its answer was lost, or held none. Code 9 (busy) comes before any. */
export function countedPerhaps({ answer, reply, verdict }: Outcome): boolean {
  if (verdict.kind === 'accepted') return reply.ackId === undefined;
  return answer === undefined || (answer.status >= 500 && reply.code !== 9);
}
