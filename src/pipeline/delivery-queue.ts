// Above 250 lines: the queue is one state machine, described here.
import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import { idsOf } from '../event/id-ranges.ts';
import type { Notifier } from '../lib/notifier.ts';
import { type ShutdownSignals, untilAborted } from '../lib/shutdown.ts';
import type { Reason, Reject, Retry, Stop, Verdict } from '../lib/verdict.ts';
import type { ResumedBatch, Sent, Sink } from '../sinks/sink.ts';
import type { DeadLetterStore } from '../state/store.ts';
import type { CheckpointWriter } from './checkpoint-writer.ts';
import { DestinationState } from './destination-state.ts';
import { batches } from './encode.ts';
import { type HighWaterMark, least } from './high-water-mark.ts';
import { retryStorage, type StorageContext } from './retry-storage.ts';
import type { Sealer } from './sealer.ts';

interface DeliveryQueueOptions extends StorageContext {
  readonly destination: Sink;
  readonly mark: HighWaterMark;
  readonly checkpoint: CheckpointWriter;
  readonly deadLetter: Pick<DeadLetterStore, 'append'>;
  /** Notified when anything changed that the queue or its callers wait for. */
  readonly changed: Notifier;
  readonly sealer?: Sealer | undefined;
  readonly handover?: Handover;
}

/** A record that can't be sent, and why. */
export interface Unsendable {
  readonly encoded: Encoded;
  /** Default: malformed. */
  readonly reason?: Reason;
  readonly detail: string;
}

/** How a reload exchanges pipelines of one sink. Absent members: this one is neither a successor nor ever replaced. */
export interface Handover {
  /** Batches on the wire of the predecessor. */
  readonly inherited?: readonly ResumedBatch[];
  /** Fires, before the graceful stop, if a successor takes over. */
  readonly replaced?: AbortSignal;
  /** How long acknowledgements are still awaited then, if the successor can ask for them too, milliseconds. */
  readonly ackGraceMs?: () => number;
}

/** The destination is gone for good: the pipeline ends. */
export class SinkGone extends Error {
  override readonly name = 'SinkGone';
}

/** After so many rejections in a row, without an acceptance between them, the fault is assumed to be ours. */
const breakerLimit = 100;
/** The reader waits while this many ranges of ids are done above an id that is not. */
const maxRangesAbove = 10_000;
/** The reader waits while unconfirmed batches of several pages keep more than this in memory. */
const maxPageBytes = 64 * 1024 ** 2;

/** A pause until `readUpTo` ends it, milliseconds. */
const announcedPollMs = 60_000;

interface Entry {
  records: readonly Encoded[];
  state: 'waiting' | 'sending' | 'sent';
  /** Number of its last sending. */
  send: number;
  /** The last verdict on its last sending, unless `waiting`. */
  verdict: Promise<Verdict> | undefined;
  readonly offeredMs: number;
  /** Goes to the dead letter next: rejected alone, or (`isBroken`) it could not be encoded. */
  refusal: Reject | undefined;
  readonly isBroken: boolean;
  /** The batch that an earlier process announced: nothing is added to it but its own records. */
  readonly isAnnounced: boolean;
  /** The records that were announced to the sink. */
  announced: readonly Encoded[] | undefined;
}

/**
 * The one owner of what is in flight: every batch between the reader and its confirmation. Which ids are in flight, how many
 * batches are unconfirmed and whether there is room for more is computed from its entries; nothing else keeps a copy.
 *
 * A batch is in one of these states:
 *
 *     waiting ──send──▶ sending ──accepted──▶ done (removed: mark and checkpoint record it)
 *        ▲                 │ sent
 *        │                 ▼
 *        ├──────retry─── sent ──accepted──▶ done
 *        │
 *        └─ split in place: at the record that was rejected (alone between its neighbours), in halves if that is not
 *           known, or into a smaller head and the rest if the destination needs less at once
 *
 * A record that was rejected alone becomes *refused*: it goes to the dead letter, then it is removed. After 100 of them in a
 * row without an acceptance, the queue parks instead and dead-letters nothing more until something is accepted.
 *
 * Batches that an earlier process sent (`resumed`) have no records, only ids. Confirmed, they are done; otherwise their ids
 * are lost, and the reader reads them again. The same holds for batches that a predecessor still has on the wire
 * (`inherited`).
 *
 * At a reload that changes the sink, a successor with the new configuration starts at once, however long the old
 * destination takes: the queue stops, saves, and hands over what is on the wire (`handedOver`). Its sink stays open until
 * each of those batches has its verdict, by the sink's own time-outs. Only if the sink stores pending acknowledgements,
 * the successor asks for them itself, from the checkpoint: then the queue first waits for the answer to a request and
 * briefly for acknowledgements, because two may not ask about one batch.
 *
 * A sink may let a batch that is not full wait for more records (`BatchLimits.maxAgeMs`). The last entry then *gathers*: what is
 * pushed is added to it, and it is sent when it is full, old enough, or wanted by `flush`. On `graceful` it is not sent; its
 * events are read again at the next start. If the destination recognises a batch only in the same composition, the
 * composition is announced: it is saved before the batch is sent, and after a crash the same records make up a batch again,
 * with the time at which they were first received. Until these are read again, or known to be gone (`readUpTo`), nothing
 * else is sent, because another announcement would replace this one.
 *
 * Rules, and what they cost:
 *
 * - Entries keep the order in which they were offered, and the first waiting one is sent next. So a batch that comes back
 *   goes before anything new, and within a sink events stay in order but for what is sent again.
 * - Nothing is sent, a retry included, while something confirmed is not saved. Saving runs beside the sending, so a slow
 *   request does not delay it. After `kill -9` at most the batches in flight are repeated. The price is one save (two
 *   fsyncs) for each batch when confirmations come one by one.
 * - A verdict may confirm a part: those records are done at once, and only the rest is sent again.
 * - `DestinationState` decides when the next attempt may start and how much it may carry. A pause holds for the whole
 *   destination, not for one batch.
 * - The reader waits (`room`) while a batch waits for its first sending, while too many ids are done above one that is not, and while
 *   unconfirmed batches keep too many pages in memory. The read-ahead is one page.
 * - On `graceful` nothing new is sent; what was sent is awaited until `forced`, and while `Sink.finish` runs. A batch that
 *   was not confirmed by then stays above `after` and is read again at the next start.
 */
export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  readonly #sink: Sink;
  readonly #state: DestinationState;
  #entries: Entry[] = [];
  /** Ids that an earlier process announced as one batch and that are not yet read again, with the time of their receipt. */
  readonly #announced = new Map<Cursor, number>();
  /** Nothing more comes for now: no batch waits for more records. */
  #isFlushing = false;
  readonly #resumed: Set<ResumedBatch>;
  /** Fires when what is on the wire is handed over. */
  readonly #leaving = new AbortController();
  #lastProgressMs = performance.now();
  /** What runs beside the sending. */
  readonly #beside = new Set<Promise<void>>();
  /** A bug, or a destination that is gone for good, found beside the sending: ends the run. */
  #failure: { readonly error: unknown } | undefined;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
    this.#sink = options.destination;
    this.#state = new DestinationState(options);
    const { inherited = [], replaced } = options.handover ?? {};
    this.#resumed = new Set([...inherited, ...(this.#sink.resumed ?? [])]);
    if (replaced?.aborted) this.#leave();
    else replaced?.addEventListener('abort', () => this.#leave());
    for (const { ranges } of this.#resumed) for (const [, to] of ranges) options.mark.resume(to);
    for (const { from, to, receivedAtMs } of this.#sink.announced ?? [])
      for (const id of idsOf([[from, to]])) this.#announced.set(id, receivedAtMs);
  }

  /** What is wrong with the destination, one printable line. */
  get lastError(): string | undefined {
    return this.#state.lastError;
  }
  get parked(): Stop | undefined {
    return this.#state.parked;
  }
  /** When something was last confirmed or dead-lettered (or the queue was created), monotonic milliseconds. */
  get lastProgressMs(): number {
    return this.#lastProgressMs;
  }
  /** No batch of this process is unconfirmed. */
  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }
  /** Neither is one of an earlier process. */
  get isIdle(): boolean {
    return this.isEmpty && this.#resumed.size === 0;
  }
  /** The least id in flight. */
  get first(): Cursor | undefined {
    let first: Cursor | undefined;
    for (const { records } of this.#entries) first = least(first, records[0]?.event.id);
    for (const { ranges } of this.#resumed) first = least(first, ranges[0]?.[0]);
    return first;
  }

  /** Batches of the predecessor have no verdict yet. */
  get hasInherited(): boolean {
    return (this.#options.handover?.inherited ?? []).some((batch) => this.#resumed.has(batch));
  }

  /** What is on the wire was handed over; otherwise only what was inherited is passed on. */
  get hasHandedOver(): boolean {
    return this.#leaving.signal.aborted;
  }

  /** A request waits for its answer. */
  get isSending(): boolean {
    return this.#entries.some(({ state }) => state === 'sending');
  }

  /** What is on the wire, for a successor: of interest after `run`, if that handed it over. */
  get handedOver(): readonly ResumedBatch[] {
    if (!this.hasHandedOver)
      return (this.#options.handover?.inherited ?? []).filter((batch) => this.#resumed.has(batch));
    const own = this.#entries.flatMap(({ state, records, verdict }) =>
      state === 'waiting' || verdict === undefined ? [] : [{ ranges: rangesOf(records), confirmed: verdict }],
    );
    return [...own, ...this.#resumed];
  }

  has(id: Cursor): boolean {
    for (const { ranges } of this.#resumed) if (ranges.some(([from, to]) => from <= id && id <= to)) return true;
    return this.#entries.some(({ records }) => holds(records, id));
  }

  /** How many ids above `id` are in flight. */
  countAbove(id: Cursor): number {
    let count = 0;
    for (const { records } of this.#entries) for (const { event } of records) if (event.id > id) count += 1;
    for (const { ranges } of this.#resumed)
      for (const [from, to] of ranges) if (to > id) count += Number(to - (from > id ? from - 1n : id));
    return count;
  }

  /** Takes batches; their ids are in flight from now on. `broken`: records that go to the dead letter without being sent. */
  push(batches: readonly (readonly Encoded[])[], broken: readonly Unsendable[] = []): void {
    const wasEmpty = this.isEmpty;
    if (this.#sink.limits.maxAgeMs !== undefined) this.#gather(batches.flat());
    else for (const records of batches) this.#entries.push(newEntry(records));
    for (const { encoded, detail, reason = 'malformed' } of broken) {
      const refusal = { kind: 'reject', reason, detail } as const;
      this.#entries.push({ ...newEntry([encoded]), refusal, isBroken: true });
    }
    if (wasEmpty && !this.isEmpty) this.#reportOldest();
    this.#options.changed.notify();
  }

  /** Adds records to the batch that an earlier process announced, or to the last one, and cuts that by the sink's limits. */
  #gather(records: readonly Encoded[]): void {
    const own = records.filter(({ event }) => this.#announced.has(event.id));
    const others = own.length === 0 ? records : records.filter(({ event }) => !this.#announced.has(event.id));
    const open = this.#entries.find((entry) => entry.isAnnounced && entry.send === 0);
    if (open !== undefined) open.records = inOrder([...open.records, ...own]);
    // Before what is new: nothing else was sent yet.
    else if (own.length > 0) this.#entries.unshift({ ...newEntry(own), isAnnounced: true });
    for (const { event } of own) this.#announced.delete(event.id);
    const last = this.#entries.at(-1);
    const gathering = last !== undefined && isGathering(last) ? last : undefined;
    if (gathering !== undefined) this.#entries.pop();
    // A late event may come behind newer ones that still wait.
    const cut = batches(inOrder([...(gathering?.records ?? []), ...others]), this.#sink.limits);
    for (const [index, part] of cut.entries())
      this.#entries.push(newEntry(part, index === 0 ? gathering?.offeredMs : undefined));
  }

  /** How long this batch still waits for more records, milliseconds. */
  #gathersForMs(entry: Entry): number {
    if (this.#isFlushing || entry.send > 0) return 0;
    if (this.#announced.size > 0) return announcedPollMs;
    const { maxAgeMs = 0, maxEvents } = this.#sink.limits;
    if (maxAgeMs === 0 || entry.isAnnounced || this.#holdsTooManyPages()) return 0;
    const isOpen = entry === this.#entries.at(-1) && entry.records.length < maxEvents;
    return isOpen ? Math.max(0, entry.offeredMs + maxAgeMs - performance.now()) : 0;
  }

  /** Events of an announced batch, with the time at which they were first received. */
  asAnnounced(events: readonly AuditEvent[]): readonly AuditEvent[] {
    if (this.#announced.size === 0) return events;
    return events.map((event) => ({ ...event, receivedAtMs: this.#announced.get(event.id) ?? event.receivedAtMs }));
  }

  /** The log was read up to this id, or to its end: what was announced below and did not come is filtered, done or gone. */
  readUpTo(last?: Cursor): void {
    if (this.#announced.size === 0) return;
    for (const id of this.#announced.keys()) if (last === undefined || id <= last) this.#announced.delete(id);
    this.#options.changed.notify();
  }

  /** Resolves when there is room for another page, or `signals.graceful` fires. */
  async room({ graceful }: ShutdownSignals): Promise<void> {
    while (!graceful.aborted && !this.#hasRoom) await this.#options.changed.wait(graceful);
  }

  /** Nothing more comes for now. Resolves when everything is confirmed and saved, or `signals.graceful` fires. */
  async flush({ graceful, forced }: ShutdownSignals): Promise<void> {
    const { changed, checkpoint } = this.#options;
    const isDone = () => graceful.aborted || (this.isIdle && !checkpoint.isDirty);
    this.#isFlushing = true;
    changed.notify();
    while (!isDone()) {
      if (!this.isEmpty && this.#entries.every(({ state }) => state === 'sent')) await this.#sink.finish?.(forced);
      if (!isDone()) await changed.wait(graceful);
    }
    this.#isFlushing = false;
  }

  /** A person asks for an attempt now. */
  retryNow(): void {
    this.#state.retryNow();
    this.#options.changed.notify();
  }

  /**
   * Sends until `signals.graceful`, then waits for what is sent until `signals.forced`.
   * @throws {SinkGone} @throws a bug, or the reason of `signals.forced`
   */
  async run(signals: ShutdownSignals): Promise<void> {
    const { checkpoint } = this.#options;
    const over = new AbortController();
    const beside = { graceful: over.signal, forced: signals.forced };
    void this.#runBeside(checkpoint.keepSaved(beside), signals);
    for (const batch of this.#resumed) void this.#runBeside(this.#resume(batch, over.signal), signals);
    let isComplete = false;
    try {
      await this.#sendAll(signals, over.signal);
      if (!this.#leaving.signal.aborted) await this.#awaitSent(signals);
      isComplete = true;
    } finally {
      // A confirmation that is on its way may be reported only once: the sink gets a moment to receive it.
      if (signals.forced.aborted) await this.#runBeside(this.#finish(signals.forced), signals);
      over.abort();
      await Promise.all(this.#beside);
      // If a forced stop cut a sending short: what was confirmed beside it must not be repeated.
      const graceful = isComplete ? signals.forced : AbortSignal.abort();
      if (checkpoint.isDirty) await checkpoint.save({ graceful, forced: signals.forced });
    }
    this.#throwIfFailed();
  }

  async #sendAll(signals: ShutdownSignals, over: AbortSignal): Promise<void> {
    const { changed, checkpoint } = this.#options;
    while (!signals.graceful.aborted) {
      this.#throwIfFailed();
      const entry = this.#next();
      const gathersMs = entry === undefined ? 0 : this.#gathersForMs(entry);
      const pauseMs = Math.max(this.#state.resumeAtMs - performance.now(), gathersMs);
      if (checkpoint.isDirty || entry === undefined) await changed.wait(signals.graceful);
      else if (entry.refusal !== undefined) await this.#deadLetter(entry, entry.refusal, signals);
      else if (pauseMs > 0) await changed.wait(signals.graceful, pauseMs);
      else await this.#sendOrSplit(entry, signals, over);
    }
  }

  async #awaitSent({ forced }: ShutdownSignals): Promise<void> {
    const { changed, handover = {} } = this.#options;
    const isOwnSent = () => this.#entries.some(({ state }) => state === 'sent');
    const isAnySent = () => isOwnSent() || this.hasInherited;
    const isLimited = handover.replaced?.aborted === true && handover.ackGraceMs !== undefined;
    const limit = isLimited ? AbortSignal.any([forced, AbortSignal.timeout(handover.ackGraceMs())]) : forced;
    if ((isOwnSent() || this.#resumed.size > 0) && !limit.aborted) await this.#finish(limit);
    while (!limit.aborted && isAnySent() && this.#failure === undefined && !this.#leaving.signal.aborted)
      await changed.wait(limit);
    // As after a forced stop: see `run`.
    if (isLimited && limit.aborted && !forced.aborted) await this.#finish(limit);
    this.#throwIfFailed();
  }

  /** A successor takes over what is on the wire, unless it asks for the acknowledgements itself. */
  #leave(): void {
    if (this.#sink.pendingAcks?.() !== undefined) return;
    this.#leaving.abort();
    this.#options.sealer?.storeSent();
    this.#options.changed.notify();
  }

  async #finish(forced: AbortSignal): Promise<void> {
    await this.#sink.finish?.(forced);
  }

  /** The first waiting entry, unless the window is full. */
  #next(): Entry | undefined {
    const entry = this.#entries.find(({ state }) => state === 'waiting');
    if (entry === undefined || entry.refusal !== undefined) return entry;
    const sent = this.#entries.filter(({ state }) => state === 'sent').length;
    return sent < this.#state.window(this.#sink.window) ? entry : undefined;
  }

  get #hasRoom(): boolean {
    // The rest of an announced batch, which is bounded by what the earlier process held.
    if (this.#announced.size > 0) return true;
    if (this.#entries.some((entry) => entry.send === 0 && this.#gathersForMs(entry) === 0)) return false;
    const { first } = this;
    if (first === undefined) return true;
    return this.#options.mark.doneRangesAbove(first) <= maxRangesAbove && !this.#holdsTooManyPages();
  }

  /** A batch keeps the page in memory that its events are views into. */
  #holdsTooManyPages(): boolean {
    const pages = new Set(this.#entries.map(({ records }) => records[0]?.event.text.buffer));
    let bytes = 0;
    for (const page of pages) bytes += page?.byteLength ?? 0;
    return pages.size > 1 && bytes > maxPageBytes;
  }

  async #sendOrSplit(entry: Entry, signals: ShutdownSignals, over: AbortSignal): Promise<void> {
    // To find our own fault, and for the same reason: one event at a time.
    const { checkpoint } = this.#options;
    const maxRecords = checkpoint.refusedInRow >= breakerLimit ? 1 : this.#state.maxRecords;
    if (entry.records.length > maxRecords) return this.#split(entry, [maxRecords]);
    if (this.#sink.announce !== undefined && entry.announced !== entry.records) {
      this.#sink.announce({ records: entry.records });
      entry.announced = entry.records;
      // Sent when that is saved: nothing is sent before.
      return checkpoint.touch();
    }
    this.#options.sealer?.sent(entry.records);
    entry.state = 'sending';
    entry.send = this.#state.attempt();
    this.#options.changed.notify();
    const answering = this.#sink.send({ records: entry.records }, signals.forced);
    entry.verdict = lastVerdict(answering, signals.forced);
    // A bug is seen below, or by the successor.
    entry.verdict.catch(() => {});
    const answer = await untilAborted(this.#leaving.signal, answering);
    if (answer === undefined) return;
    if (answer.kind !== 'sent') {
      if (tookNothing(answer)) this.#options.sealer?.refused(entry.records);
      this.#conclude(entry, answer, (retry) => this.#state.failed(retry, entry.records.length));
      return;
    }
    entry.state = 'sent';
    this.#state.sent();
    if (this.#sink.pendingAcks !== undefined) {
      this.#options.sealer?.storeSent(entry.records);
      checkpoint.touch();
    }
    void this.#runBeside(this.#confirm(entry, answer, over), signals);
    // `flush` asks for confirmation once everything is sent: also after batches were sent again.
    this.#options.changed.notify();
    // A stop has its own, with its own limit.
    if (this.#state.isOneByOne) await untilAborted(signals.graceful, this.#finish(signals.forced));
  }

  async #confirm(entry: Entry, { confirmed }: Sent, over: AbortSignal): Promise<void> {
    const verdict = await untilAborted(over, confirmed);
    if (verdict === undefined) return;
    this.#conclude(entry, verdict, (retry) => this.#state.lost(entry.send, retry, entry.records.length));
  }

  async #resume(batch: ResumedBatch, over: AbortSignal): Promise<void> {
    const verdict = await untilAborted(over, batch.confirmed);
    if (verdict === undefined) return;
    const { mark, checkpoint, sealer } = this.#options;
    const ids = idsOf(batch.ranges);
    const isAccepted = acceptedIn(verdict, ids.length);
    this.#resumed.delete(batch);
    this.#lastProgressMs = performance.now();
    const delivered = ids.filter((_, index) => isAccepted(index));
    // Without its hash an event can't be sealed: it is delivered again.
    const unknown = new Set(sealer?.delivered(delivered));
    mark.lose(ids.filter((id, index) => !isAccepted(index) || unknown.has(id)));
    mark.settle(
      delivered.filter((id) => !unknown.has(id)),
      this.first,
    );
    checkpoint.touch();
  }

  /** Does what a verdict says about a batch. @throws {SinkGone} */
  #conclude(entry: Entry, whole: Verdict, onRetry: (verdict: Retry) => void): void {
    const verdict = this.#bookPart(entry, whole);
    if (verdict.kind === 'accepted') {
      this.#remove(entry);
      this.#book(entry, entry.records);
      this.#state.accepted(entry.send, { window: this.#sink.window, maxRecords: this.#sink.limits.maxEvents });
    } else {
      entry.state = 'waiting';
      if (verdict.kind === 'retry') onRetry(verdict);
      else if (verdict.kind === 'stop') this.#park(verdict);
      else if (entry.records.length > 1) this.#isolate(entry, verdict.failedIndex);
      else entry.refusal = verdict;
    }
    if (entry.records.length === 0) this.#remove(entry);
    this.#options.changed.notify();
  }

  /** Records that are confirmed although the batch is not are done. Returns the verdict on the rest. */
  #bookPart(entry: Entry, verdict: Verdict): Verdict {
    if (verdict.kind === 'accepted') return verdict;
    const { records } = entry;
    const isAccepted = acceptedIn(verdict, records.length);
    const accepted = records.filter((_, index) => isAccepted(index));
    if (accepted.length === 0) return verdict;
    this.#state.progressed();
    entry.records = records.filter((_, index) => !isAccepted(index));
    this.#book(entry, accepted);
    if (verdict.kind !== 'reject') return verdict;
    if (entry.records.length === 0) return { kind: 'accepted' };
    const { failedIndex, ...rest } = verdict;
    if (failedIndex === undefined || isAccepted(failedIndex)) return rest;
    return { ...rest, failedIndex: records.slice(0, failedIndex).filter((_, index) => !isAccepted(index)).length };
  }

  /** These records of an entry are delivered and no longer in it. */
  #book({ offeredMs }: Entry, records: readonly Encoded[]): void {
    const { sink, emit, mark, checkpoint, sealer } = this.#options;
    this.#lastProgressMs = performance.now();
    const event = records.at(-1)?.event;
    if (event === undefined) return;
    const ids = records.map(({ event: { id } }) => id);
    sealer?.delivered(ids);
    mark.settle(ids, this.first);
    checkpoint.recordDelivered(event);
    const lastAtMs = event.createdAtMs;
    emit({
      event: 'pipeline.delivered',
      sink,
      records: records.length,
      last: event.id,
      elapsedMs: this.#lastProgressMs - offeredMs,
      ...(lastAtMs !== undefined && { lastAtMs }),
    });
  }

  async #deadLetter(entry: Entry, refusal: Reject, signals: ShutdownSignals): Promise<void> {
    const { sink, emit, mark, checkpoint, deadLetter, sealer } = this.#options;
    const { reason, detail } = refusal;
    const [record] = entry.records;
    if (record === undefined) return this.#remove(entry);
    const { refusedInRow: refused } = checkpoint;
    if (!entry.isBroken) {
      if (refused >= breakerLimit) {
        entry.refusal = undefined;
        emit({ event: 'pipeline.breaker', sink, refused });
        const why = `${refused} events in a row were rejected, so the fault is assumed to be here: ${detail}`;
        return this.#park({ kind: 'stop', reason, detail: why });
      }
      this.#state.answered(entry.send);
    }
    const { event } = record;
    const write = () => deadLetter.append({ sink, reason: `${reason}: ${detail}`, event });
    if (!(await retryStorage(write, "the dead letter can't be written", this.#options, signals))) return;
    this.#remove(entry);
    sealer?.deadLettered(event);
    mark.settle([event.id], this.first);
    if (entry.isBroken) checkpoint.touch();
    else checkpoint.recordRejected();
    this.#lastProgressMs = performance.now();
    emit({ event: 'pipeline.set_aside', sink, id: event.id, reason, detail });
  }

  #park(verdict: Stop): void {
    if (verdict.permanent) {
      this.#options.emit({ event: 'pipeline.failed', sink: this.#options.sink, detail: verdict.detail });
      throw new SinkGone(verdict.detail);
    }
    this.#state.park(verdict);
  }

  /** Puts the record at fault alone; halves the batch if it is not known. */
  #isolate(entry: Entry, failedIndex: number | undefined): void {
    const { length } = entry.records;
    const isKnown = failedIndex !== undefined && failedIndex >= 0 && failedIndex < length;
    this.#split(entry, isKnown ? [failedIndex, failedIndex + 1] : [length >> 1]);
  }

  /** Cuts an entry at the given indexes. */
  #split(entry: Entry, cuts: readonly number[]): void {
    const edges = [0, ...cuts, entry.records.length];
    const parts = edges.slice(1).map((end, index) => entry.records.slice(edges[index], end));
    const entries = parts
      .filter((records) => records.length > 0)
      .map((records): Entry => ({ ...entry, records, state: 'waiting' }));
    this.#entries.splice(this.#entries.indexOf(entry), 1, ...entries);
    this.#options.changed.notify();
  }

  #remove(entry: Entry): void {
    const at = this.#entries.indexOf(entry);
    if (at === -1) return;
    this.#entries.splice(at, 1);
    this.#reportOldest();
    this.#options.changed.notify();
  }

  #reportOldest(): void {
    const event = this.#entries[0]?.records[0]?.event;
    const oldestAtMs = event === undefined ? undefined : (event.createdAtMs ?? event.receivedAtMs);
    this.#options.emit({ event: 'pipeline.waiting', sink: this.#options.sink, oldestAtMs });
  }

  /** Awaited at the end of the run. Only the reason of a forced stop is expected; anything else ends the run. */
  #runBeside(work: Promise<void>, { forced }: ShutdownSignals): Promise<void> {
    const guarded = work
      .catch((error: unknown) => {
        if (!forced.aborted || error !== forced.reason) this.#failure ??= { error };
      })
      .finally(() => {
        this.#beside.delete(guarded);
        this.#options.changed.notify();
      });
    this.#beside.add(guarded);
    return guarded;
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function newEntry(records: readonly Encoded[], offeredMs = performance.now()): Entry {
  const unsent = { state: 'waiting', send: 0, verdict: undefined, announced: undefined } as const;
  return { ...unsent, records, offeredMs, refusal: undefined, isBroken: false, isAnnounced: false };
}

/**
 * Whether the destination certainly has nothing of a request, by its direct answer: it refused us, or was busy, before it read
 * the records. What was sent and refused later may have arrived, and so may a part of what a closed pipe had taken.
 */
const tookNothing = (answer: Verdict) =>
  (answer.kind === 'stop' && answer.permanent !== true) || (answer.kind === 'retry' && answer.reason === 'throttled');

/** Records may be added to it. */
const isGathering = ({ send, refusal, isAnnounced }: Entry) => send === 0 && refusal === undefined && !isAnnounced;

const inOrder = (records: readonly Encoded[]) =>
  records.toSorted(({ event: { id: a } }, { event: { id: b } }) => (a < b ? -1 : a > b ? 1 : 0));

/** Which indexes of a batch of `length` records a verdict confirms. */
function acceptedIn(verdict: Verdict, length: number): (index: number) => boolean {
  if (verdict.kind === 'accepted') return () => true;
  // A verdict that is not `accepted` is about at least one record, unless it names each of them.
  const prefix = Math.min(verdict.acceptedPrefix ?? 0, length - 1);
  const indexes = new Set(verdict.acceptedIndexes);
  return (index) => index < prefix || indexes.has(index);
}

/** Whether one of the records, which ascend, has this id. */
function holds(records: readonly Encoded[], id: Cursor): boolean {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = records[middle]?.event.id;
    if (at === id) return true;
    if (at !== undefined && at < id) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** The last verdict on a sending; `retry` if a forced stop cut it short. @throws a bug */
async function lastVerdict(answering: Promise<Verdict | Sent>, forced: AbortSignal): Promise<Verdict> {
  try {
    const answer = await answering;
    return answer.kind === 'sent' ? await answer.confirmed : answer;
  } catch (error) {
    if (!forced.aborted || error !== forced.reason) throw error;
    return { kind: 'retry', reason: 'timeout', detail: 'the stop cut it short' };
  }
}

function rangesOf(records: readonly Encoded[]): readonly (readonly [Cursor, Cursor])[] {
  const ranges: [Cursor, Cursor][] = [];
  for (const { event } of records) {
    const last = ranges.at(-1);
    if (last !== undefined && event.id === last[1] + 1n) last[1] = event.id;
    else ranges.push([event.id, event.id]);
  }
  return ranges;
}
