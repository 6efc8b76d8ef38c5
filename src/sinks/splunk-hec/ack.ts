import type { Batch } from '../../event/event.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { ResumedBatch, Sent } from '../sink.ts';
import { AckCircuitBreaker, anew, inWords, type Ranges, rangesOf, unsure } from './ack-circuit-breaker.ts';
import { refusalOf } from './ack-mode.ts';
import type { AckOptions } from './ack-options.ts';
import { AckPoller } from './ack-poller.ts';
import { Channel, countedPerhaps } from './channel.ts';
import { Cookies } from './cookies.ts';
import { PendingAck } from './pending-ack.ts';
import { expand, newSalt, readPendingAcks, writePendingAcks } from './pending-acks.ts';
import { type Outcome, paths, type RequestMeta } from './requests.ts';

/** ackIds in one question; Splunk's advice. */
const mostIds = 1000;
/** Channels asked about at the same time. */
const atOnce = 4;

/**
 * Batches sent and not acknowledged: on which channel, since when, and who waits for them. `false` means nothing: only
 * `true` ends a wait, or `ackTimeout`.
 */
export class Acknowledgements {
  readonly recovered: readonly ResumedBatch[];
  readonly doubt: AckCircuitBreaker;
  readonly #options: AckOptions;
  readonly #salt = newSalt();
  /** Those with something open. */
  readonly #channels = new Set<Channel>();
  #current: Channel | undefined;
  #currentToken: string | undefined;
  readonly #asking: AckPoller;
  /** What went wrong with the last question. */
  #trouble: string | undefined;

  constructor(options: AckOptions) {
    this.#options = options;
    const { pace, elapsed } = options;
    this.doubt = new AckCircuitBreaker(options.ackTimeoutMs, elapsed);
    this.#asking = new AckPoller({
      pace,
      elapsed,
      any: () => this.#waiting().length > 0,
      ask: (signal) => this.#askAll(signal),
    });
    this.recovered = this.#recover(options.journal);
    this.#asking.within(0);
  }

  /** The channel for the next batch. */
  get channel(): Channel {
    const now = this.#options.elapsed();
    const token = this.#options.owner().token.reveal();
    if (this.#current === undefined || !this.#current.usable(now) || this.#currentToken !== token) {
      this.#current = Channel.fresh(now);
      this.#currentToken = token;
    }
    return this.#current;
  }

  /**
   * Sends a batch on `channel`, which counts as posting until `took` has looked at the ackId that came.
   * @throws the reason of `signal`
   */
  async post(channel: Channel, bytes: Buffer, about: RequestMeta, signal: AbortSignal): Promise<Outcome> {
    const outcome = await this.#options.requests.post(paths.data, channel, bytes, about, signal);
    channel.note(outcome, this.#options.elapsed());
    if (countedPerhaps(outcome)) this.#doubtFirst(channel);
    else if (outcome.verdict.kind !== 'accepted') this.#believeFirst(channel);
    return outcome;
  }

  /** A batch was taken under `ackId`: waits for its acknowledgement, or says why there can be none. */
  took(channel: Channel, ackId: number, batch: Batch, kill: AbortSignal): Sent | Verdict {
    const ranges = rangesOf(batch);
    const before = channel.waiting;
    // With nothing else open the id can only mean this batch, whoever gave it.
    if (!channel.advances(ackId) && before.length > 0) {
      for (const open of before) this.#end(channel, open, this.doubt.struck(open.ranges, anew));
      return this.doubt.struck(ranges, anew);
    }
    this.#believeFirst(channel);
    const confirmed = this.#wait(channel, ackId, ranges, this.#options.now(), kill);
    this.doubt.waits(ranges);
    this.#asking.begin();
    return { kind: 'sent', confirmed };
  }

  /** Asks faster until nothing that this process sent is open, or `kill` fires. */
  async finish(kill: AbortSignal): Promise<void> {
    for (let own = this.#own(); own.length > 0 && !kill.aborted; own = this.#own())
      await this.#asking.hurry(untilAborted(kill, Promise.allSettled(own.map(({ confirmed }) => confirmed))));
  }

  askNow(): void {
    this.#asking.within(0);
  }

  /** What is open, for `AckOptions.journal` of a later process; undefined where nothing is. */
  journal(): unknown {
    return this.#channels.size === 0 ? undefined : writePendingAcks(this.#options.owner(), this.#salt, this.#channels);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new DOMException('The sink is closed', 'AbortError');
    for (const channel of this.#channels) for (const open of channel.open.values()) open.close(reason);
    await this.#asking.close();
  }

  #recover(written: unknown): ResumedBatch[] {
    const journal = readPendingAcks(this.#options.owner(), written);
    if (journal === 'unreadable')
      this.#options.warn(
        'what the checkpoint tells of open acknowledgements is unreadable: those batches are sent again',
      );
    if (journal === undefined || journal === 'unreadable') return [];
    return journal.channels.flatMap(({ id, cookies, open }) => {
      const channel = Channel.former(id, Cookies.from(cookies));
      return open.map(({ ackId, sentAt, ids }) => {
        const ranges = expand(ids);
        return {
          ranges,
          confirmed: this.#wait(channel, ackId, ranges, Math.min(sentAt, this.#options.now()), undefined),
        };
      });
    });
  }

  #wait(
    channel: Channel,
    ackId: number,
    ranges: Ranges,
    sentAtMs: number,
    kill: AbortSignal | undefined,
  ): Promise<Verdict> {
    const leftMs = sentAtMs + this.#options.ackTimeoutMs - this.#options.now();
    const open = new PendingAck({ ackId, ranges, sentAtMs, leftMs, kill, onDue: () => this.#asking.within(0) });
    channel.open.set(ackId, open);
    this.#channels.add(channel);
    return open.confirmed;
  }

  #end(channel: Channel, open: PendingAck, verdict: Verdict): void {
    channel.open.delete(open.ackId);
    if (channel.open.size === 0) this.#channels.delete(channel);
    open.settle(verdict);
  }

  /**
   * A batch that was perhaps taken has no known ackId. Where the indexer counted anew it got 0, so that the acknowledgement
   * of an older batch 0 may be its own; greater ids are not given twice before a later batch shows the new count.
   */
  #doubtFirst(channel: Channel): void {
    const { first } = channel;
    if (first !== undefined) this.#end(channel, first, { kind: 'retry', reason: 'network', detail: unsure });
  }

  /** The count goes on as it was, so the acknowledgement that came meanwhile meant the batch. */
  #believeFirst(channel: Channel): void {
    const { first } = channel;
    if (first?.told !== true) return;
    this.doubt.cleared(first.ranges);
    this.#end(channel, first, accepted);
  }

  #own(): PendingAck[] {
    return this.#waiting().flatMap((channel) => channel.waiting.filter(({ isOwn }) => isOwn));
  }

  #waiting(): Channel[] {
    return Array.from(this.#channels).filter((channel) => channel.waiting.length > 0);
  }

  async #askAll(signal: AbortSignal): Promise<boolean> {
    const channels = this.#waiting();
    let learnt = false;
    const next = async () => {
      for (let channel = channels.shift(); channel !== undefined; channel = channels.shift())
        learnt = (await this.#ask(channel, signal)) || learnt;
    };
    await Promise.all(Array.from({ length: atOnce }, next));
    return learnt;
  }

  /** Asks about what is open on one channel; true where something was acknowledged. */
  async #ask(channel: Channel, signal: AbortSignal): Promise<boolean> {
    const asked = channel.waiting.filter(({ told }) => !told).slice(0, mostIds);
    if (asked.length === 0) return false;
    const question = Buffer.from(JSON.stringify({ acks: asked.map(({ ackId }) => ackId) }));
    const outcome = await this.#options.requests.post(
      paths.acks,
      channel,
      question,
      { events: 0, gzip: false },
      signal,
    );
    channel.note(outcome, this.#options.elapsed());
    const refusal = refusalOf(outcome);
    if (refusal !== undefined) this.#complain(refusal, outcome.reply.code, outcome.answer?.status);
    else this.#trouble = undefined;
    let learnt = false;
    for (const open of asked) {
      // It may have been ended while the question was on its way.
      if (open.abandoned || channel.open.get(open.ackId) !== open) continue;
      const key = String(open.ackId);
      if (refusal === undefined && Object.hasOwn(outcome.reply.acks ?? {}, key) && outcome.reply.acks?.[key] === true) {
        learnt = true;
        open.told = true;
        if (open.ackId === 0 && channel.isPosting) continue;
        this.doubt.cleared(open.ranges);
        this.#end(channel, open, accepted);
      } else if (open.due && outcome.answer === undefined && open.takeLastChance()) {
        // A connection that broke says nothing of the batch, and what is sent again comes twice.
        this.#asking.within(this.#options.pace.firstMs);
      } else if (open.due) this.#expire(channel, open);
    }
    return learnt;
  }

  #expire(channel: Channel, open: PendingAck): void {
    channel.retire();
    const trouble = this.#trouble === undefined ? '' : ` (${this.#trouble})`;
    const why = `no acknowledgement within ${inWords(this.#options.ackTimeoutMs)}${trouble}`;
    this.#end(channel, open, this.doubt.struck(open.ranges, why));
  }

  /** What passes is only kept in mind; a refusal is said at once, and once. */
  #complain(refusal: Verdict, code: number | undefined, status: number | undefined): void {
    if (refusal.kind === 'accepted') return;
    const before = this.#trouble;
    this.#trouble = refusal.detail;
    if (refusal.kind === 'retry' && refusal.afterMs !== undefined) this.#asking.rest(refusal.afterMs);
    if (refusal.kind === 'retry' && status !== 404) return;
    if (before !== refusal.detail) this.#options.warn(`nothing new is sent until this is put right: ${refusal.detail}`);
    const verdict = this.#options.refused(refusal);
    if (code !== 14) return;
    for (const channel of this.#waiting())
      for (const open of channel.waiting) {
        this.doubt.cleared(open.ranges); // no acknowledgement at all says nothing about the path of one
        this.#end(channel, open, verdict);
      }
  }
}
