// Above 250 lines: the states of an acknowledgement, described above the class, and their transitions belong together.
import type { Batch } from '../../event/event.ts';
import { type IdRange, IdRanges } from '../../event/id-ranges.ts';
import type { SecretSource } from '../../lib/secret.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { ResumedBatch, Sent } from '../sink.ts';
import { Channel, PendingAck } from './ack-channel.ts';
import { AckCircuitBreaker, durationText } from './ack-circuit-breaker.ts';
import { pollRefusal } from './ack-mode.ts';
import { AckPoller, type PollInterval } from './ack-poller.ts';
import { Cookies } from './cookies.ts';
import { type PendingAcksRecord, rangesOfIds, readPendingAcks, writePendingAcks } from './pending-acks.ts';
import { type Outcome, paths, type RequestMeta, type Requests } from './requests.ts';

/** Splunk's advice for one poll. */
const maxIdsPerPoll = 1000;
/** Channels asked about at the same time. */
const maxConcurrentPolls = 4;

const countRestarted =
  'the indexer restarted its count of ackIds (it was restarted, or another one answers), so what was pending on the channel is unknown';
const firstUnsure =
  'the answer to a later batch on its channel was lost: if the indexer restarted its count of ackIds, both have the ackId 0 and its acknowledgement could mean the other; sent again, so it may come twice';
const withoutAckId =
  'taken without an ackId, so not counted as delivered: switch indexer acknowledgement on for the token (useACK), check whether a proxy rewrites answers, or set acknowledgement: false';

export interface AcksOptions {
  readonly requests: Requests;
  /** Base URL of the collector. */
  readonly url: string;
  readonly token: SecretSource;
  readonly ackTimeoutMs: number;
  readonly interval: PollInterval;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds on a monotonic clock. */
  readonly elapsed: () => number;
  readonly warn: (detail: string) => void;
  /**
   * The acknowledgement endpoint refuses: nothing new may be sent until it was asked again. Returns the verdict for what
   * is pending if the token has no acknowledgement at all (code 14).
   */
  readonly onRefused: (refusal: Verdict) => Verdict;
  /** What an earlier process left. */
  readonly record: unknown;
}

/** What became of a batch that was posted. */
export interface Posted {
  readonly outcome: Outcome;
  /** `sent` once it has an ackId. */
  readonly result: Verdict | Sent;
}

/**
 * Batches that wait for their indexer acknowledgement (Splunk, "About HTTP Event Collector Indexer Acknowledgment").
 *
 * A batch is posted on a channel and gets an ackId: a count from 0 per channel and indexer. Polls ask about all pending
 * ackIds. The answer `true` is given once; `false` means pending, lost or unknown alike. So a batch ends with
 *
 * - `true`: delivered;
 * - no `true` within `ackTimeout`: sent again, as `AckCircuitBreaker` allows;
 * - an ackId on its channel that is not above the last one: the indexer has restarted its count, so its memory of
 *   everything pending on the channel is gone, and all of it is sent again;
 * - code 14: the token has no acknowledgement, and the sink decides.
 *
 * The number 0 needs care, since a restarted indexer counts from 0. While a batch is being posted, a `true` for ackId 0 may
 * mean that batch, after a restart of the count. It is recorded (`acked`) and believed when the answer shows that the count continues, or
 * that the batch was refused before it was counted. If the answer is lost, batch 0 is sent again. Numbers above 0 cannot be
 * given twice before a batch with the number 0 was answered.
 */
export class Acknowledgements implements AsyncDisposable {
  readonly resumed: readonly ResumedBatch[];
  readonly #options: AcksOptions;
  readonly #breaker: AckCircuitBreaker;
  readonly #poller: AckPoller;
  /** Those with something pending. */
  readonly #channels = new Set<Channel>();
  #current: { readonly channel: Channel; readonly token: string } | undefined;
  /** Why the last poll failed. */
  #lastError: string | undefined;

  constructor(options: AcksOptions) {
    const { interval, elapsed } = options;
    this.#options = options;
    this.#breaker = new AckCircuitBreaker(options.ackTimeoutMs, elapsed);
    this.#poller = new AckPoller({
      interval,
      elapsed,
      earliestDueMs: () => this.#earliestDueMs(),
      poll: (signal) => this.#pollAll(signal),
    });
    this.resumed = this.#resume(readPendingAcks(options.url, options.record));
    this.#poller.pollNow();
  }

  /** Why no batch may be sent now, or undefined. */
  blockedBy(): Verdict | undefined {
    return this.#breaker.blockedBy(this.#own().length > 0);
  }

  /** A batch was delivered without acknowledgement. */
  deliveredOtherwise(): void {
    this.#breaker.reset();
  }

  /** The channel for the next batch. Each token has its own channels. */
  get channel(): Channel {
    const nowMs = this.#options.elapsed();
    const token = this.#options.token.current.reveal();
    if (this.#current?.token !== token || !this.#current.channel.isUsable(nowMs))
      this.#current = { channel: Channel.open(nowMs), token };
    return this.#current.channel;
  }

  /** Posts a batch and registers its ackId. @throws the reason of `kill` */
  async post(batch: Batch, body: Buffer, meta: RequestMeta, kill: AbortSignal): Promise<Posted> {
    const { channel } = this;
    let isCountSure = false;
    channel.isPosting = true;
    try {
      const outcome = await this.#options.requests.post(paths.data, channel, body, meta, kill);
      channel.record(outcome, this.#options.elapsed());
      isCountSure = outcome.reply.ackId !== undefined || outcome.isUncounted;
      return { outcome, result: this.#register(channel, outcome, batch, kill) };
    } finally {
      channel.isPosting = false;
      this.#settleFirst(channel, isCountSure);
    }
  }

  /** Polls faster until nothing that this process sent is pending, or `kill` fires; then hears a last answer. */
  async finish(kill: AbortSignal): Promise<void> {
    for (let own = this.#own(); own.length > 0 && !kill.aborted; own = this.#own())
      await this.#poller.hurry(untilAborted(kill, Promise.allSettled(own.map(({ confirmed }) => confirmed))));
    if (this.#channels.size > 0) await this.#poller.lastAnswer(kill);
  }

  pollNow(): void {
    this.#poller.pollNow();
  }

  /** What is pending, for `AcksOptions.record` of a later process; undefined if nothing is. */
  pendingAcks(): PendingAcksRecord | undefined {
    return this.#channels.size === 0 ? undefined : writePendingAcks(this.#options.url, this.#channels);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poller.close();
    const reason = new DOMException('The sink is closed', 'AbortError');
    for (const channel of this.#channels) for (const pending of channel.waiting) pending.close(reason);
  }

  #resume(record: PendingAcksRecord | 'unreadable' | undefined): ResumedBatch[] {
    if (record === 'unreadable')
      this.#options.warn('the pending acknowledgements in the checkpoint are unreadable: their batches are sent again');
    if (record === undefined || record === 'unreadable') return [];
    return record.channels.flatMap(({ id, cookies, open }) => {
      const channel = Channel.resume(id, Cookies.from(cookies));
      return open.map(({ ackId, sentAt, ids }) => {
        const ranges = rangesOfIds(ids);
        // A clock that was set back does not make the wait longer.
        const sentAtMs = Math.min(sentAt, this.#options.now());
        return { ranges, confirmed: this.#wait(channel, ackId, ranges, sentAtMs, undefined) };
      });
    });
  }

  #register(channel: Channel, { verdict, reply: { ackId } }: Outcome, batch: Batch, kill: AbortSignal): Verdict | Sent {
    if (verdict.kind !== 'accepted') return verdict;
    const ranges = rangesOf(batch);
    if (ackId === undefined) {
      channel.retire();
      return this.#breaker.onTimeout(ranges, withoutAckId);
    }
    const earlier = channel.waiting;
    // If nothing else is pending the ackId can only mean this batch, whichever indexer gave it.
    if (!channel.advance(ackId) && earlier.length > 0) {
      for (const pending of earlier)
        this.#end(channel, pending, this.#breaker.onTimeout(pending.ranges, countRestarted));
      return this.#breaker.onTimeout(ranges, countRestarted);
    }
    const confirmed = this.#wait(channel, ackId, ranges, this.#options.now(), kill);
    this.#breaker.onSent(ranges);
    this.#poller.start();
    return { kind: 'sent', confirmed };
  }

  /** A batch was posted on the channel: what this means for the one with the ackId 0, see above. */
  #settleFirst(channel: Channel, isCountSure: boolean): void {
    const first = channel.waiting.find(({ ackId }) => ackId === 0);
    if (first === undefined) return;
    if (!isCountSure) this.#end(channel, first, { kind: 'retry', reason: 'network', detail: firstUnsure });
    else if (first.acked) this.#acknowledge(channel, first);
  }

  #wait(
    channel: Channel,
    ackId: number,
    ranges: readonly IdRange[],
    sentAtMs: number,
    kill: AbortSignal | undefined,
  ): Promise<Verdict> {
    const { now, elapsed, ackTimeoutMs } = this.#options;
    const dueAtMs = elapsed() + sentAtMs + ackTimeoutMs - now();
    const pending = new PendingAck({ ackId, ranges, sentAtMs, dueAtMs, kill });
    channel.pending.set(ackId, pending);
    this.#channels.add(channel);
    return pending.confirmed;
  }

  #acknowledge(channel: Channel, pending: PendingAck): void {
    this.#breaker.onAcked(pending.ranges);
    this.#end(channel, pending, accepted);
  }

  #end(channel: Channel, pending: PendingAck, verdict: Verdict): void {
    channel.pending.delete(pending.ackId);
    if (channel.pending.size === 0) this.#channels.delete(channel);
    pending.settle(verdict);
  }

  #waiting(): PendingAck[] {
    return Array.from(this.#channels).flatMap(({ waiting }) => waiting);
  }

  #own(): PendingAck[] {
    return this.#waiting().filter(({ isOwn }) => isOwn);
  }

  #earliestDueMs(): number | undefined {
    const waiting = this.#waiting().filter(({ acked }) => !acked);
    return waiting.length === 0
      ? undefined
      : waiting.reduce((least, { dueAtMs }) => Math.min(least, dueAtMs), Infinity);
  }

  async #pollAll(signal: AbortSignal): Promise<boolean> {
    const channels = Array.from(this.#channels);
    let isAnyAcked = false;
    const worker = async () => {
      for (let channel = channels.shift(); channel !== undefined; channel = channels.shift())
        isAnyAcked = (await this.#poll(channel, signal)) || isAnyAcked;
    };
    await Promise.all(Array.from({ length: maxConcurrentPolls }, worker));
    return isAnyAcked;
  }

  /** Asks about what is pending on one channel; true if something was acknowledged. */
  async #poll(channel: Channel, signal: AbortSignal): Promise<boolean> {
    const asked = channel.waiting.filter(({ acked }) => !acked).slice(0, maxIdsPerPoll);
    if (asked.length === 0) return false;
    using polled = new DisposableStack();
    for (const pending of asked) polled.use(pending.polled());
    const body = Buffer.from(JSON.stringify({ acks: asked.map(({ ackId }) => ackId) }));
    const meta = { events: 0, gzip: false };
    const outcome = await this.#options.requests.post(paths.acks, channel, body, meta, signal);
    channel.record(outcome, this.#options.elapsed());
    const refusal = pollRefusal(outcome);
    if (refusal === undefined) this.#lastError = undefined;
    else this.#onRefusal(refusal, outcome);
    const acks = refusal === undefined ? (outcome.reply.acks ?? {}) : {};
    const acked = asked.filter(({ ackId }) => Object.hasOwn(acks, ackId) && acks[ackId] === true);
    for (const pending of acked) {
      pending.acked = true;
      if (pending.isWaiting && (pending.ackId !== 0 || !channel.isPosting)) this.#acknowledge(channel, pending);
    }
    for (const pending of asked) this.#expireIfDue(channel, pending, outcome);
    return acked.length > 0;
  }

  #expireIfDue(channel: Channel, pending: PendingAck, { answer }: Outcome): void {
    const { elapsed, interval, ackTimeoutMs } = this.#options;
    if (!pending.isWaiting || pending.acked || elapsed() < pending.dueAtMs) return;
    if (answer === undefined && !pending.repeated) {
      // A broken connection says nothing about the batch, and what is sent again comes twice.
      pending.repeated = true;
      pending.dueAtMs = elapsed() + interval.firstMs;
      return;
    }
    channel.retire();
    const cause = this.#lastError === undefined ? '' : ` (${this.#lastError})`;
    const why = `no acknowledgement within ${durationText(ackTimeoutMs)}${cause}`;
    this.#end(channel, pending, this.#breaker.onTimeout(pending.ranges, why));
  }

  /** A temporary failure is only recorded. A refusal is logged at once, and once. */
  #onRefusal(refusal: Exclude<Verdict, { kind: 'accepted' }>, { reply, answer }: Outcome): void {
    const before = this.#lastError;
    this.#lastError = refusal.detail;
    if (refusal.kind === 'retry' && refusal.afterMs !== undefined) this.#poller.pause(refusal.afterMs);
    if (refusal.kind === 'retry' && answer?.status !== 404) return;
    if (before !== refusal.detail) this.#options.warn(`nothing new is sent until this is corrected: ${refusal.detail}`);
    const verdict = this.#options.onRefused(refusal);
    if (reply.code !== 14) return;
    // Without any acknowledgement nothing is known about the path of one.
    this.#breaker.reset();
    for (const channel of this.#channels) for (const pending of channel.waiting) this.#end(channel, pending, verdict);
  }
}

function rangesOf({ records }: Batch): readonly IdRange[] {
  const ids = new IdRanges();
  ids.addAll(records.map(({ event }) => event.id));
  return ids.toArray();
}
