// Above 250 lines: reading, delivering and handing over of one sink, with what others may ask about it.
import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import type { IdRange } from '../event/id-ranges.ts';
import type { StartAt } from '../event/start-at.ts';
import type { StatusRecord } from '../event/status-record.ts';
import { Mutex } from '../lib/mutex.ts';
import { Notifier } from '../lib/notifier.ts';
import { type ShutdownSignals, scopeWithGrace } from '../lib/shutdown.ts';
import type { Stop, Verdict } from '../lib/verdict.ts';
import type { ResumedBatch, Sent, Sink } from '../sinks/sink.ts';
import { type Source, SourceStop } from '../source/source.ts';
import type { Checkpoint, CheckpointStore, DeadLetterStore } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { CheckpointWriter } from './checkpoint-writer.ts';
import { DeliveryQueue, type Handover, SinkGone, type Unsendable } from './delivery-queue.ts';
import { batches, type EncodingOptions, encodePage } from './encode.ts';
import { HighWaterMark } from './high-water-mark.ts';
import { verifyLastDelivered } from './history-check.ts';
import { type NewPage, Reader } from './reader.ts';
import { Sealer, type SealingOptions, type StoredSeal } from './sealer.ts';
import { findStartPosition } from './start-position.ts';

export interface PipelineOptions extends EncodingOptions {
  readonly name: string;
  /** Origin of the tenant. */
  readonly origin: string;
  readonly source: Source;
  /** Opens the sink with what it stored in an earlier process. */
  readonly openSink: (pendingAcks: unknown) => Sink;
  readonly store: CheckpointStore;
  readonly deadLetter: Pick<DeadLetterStore, 'open' | 'append'>;
  readonly settleMs: number;
  readonly pageSize: number;
  readonly startAt: StartAt;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  /** A person asks for an attempt now (SIGHUP). */
  readonly wake: Notifier;
  /** How long what is in flight may take once the pipeline stops, for whatever reason, milliseconds. */
  readonly graceMs: () => number;
  /** No second sink may write to the destination at the same time (SinkDefinition.exclusive). */
  readonly isExclusive?: boolean;
  /** Absent without `evidence`. */
  readonly sealing?: SealingOptions | undefined;
  /** At a reload: what comes from the pipeline before, and what goes to the one after. */
  readonly handover?: Handover;
}

interface Parts {
  readonly sink: Sink;
  readonly mark: HighWaterMark;
  readonly checkpoint: CheckpointWriter;
  readonly changed: Notifier;
  readonly sealer: Sealer | undefined;
}

/** When to poll: `next` resolves to the latest tick after `last` (monotonic milliseconds), or undefined when `stop` fires. */
export interface Ticks {
  next(last: number, stop: AbortSignal): Promise<number | undefined>;
}

/** How often it is verified that the newest delivered event is still there, milliseconds. */
const historyCheckMs = 3_600_000;

/** The way of a tenant's events to one sink: read, encode, deliver, checkpoint. */
export class Pipeline implements AsyncDisposable {
  readonly name: string;
  readonly #options: PipelineOptions;
  readonly #sink: Sink;
  readonly #mark: HighWaterMark;
  readonly #checkpoint: CheckpointWriter;
  readonly #queue: DeliveryQueue;
  readonly #reader: Reader;
  readonly #sealer: Sealer | undefined;
  readonly #changed: Notifier;
  readonly #statusTurns = new Mutex();
  #isSealing = false;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #scope: ReturnType<typeof scopeWithGrace> | undefined;

  /**
   * Loads the checkpoint, or finds the start position. A start that had to be looked up is saved before anything else; any
   * other one with the first page, because until then nothing proves that the address is right. Undefined if `signals` end
   * first. @throws {CheckpointProblem} @throws {SourceStop} @throws the storage's error
   */
  static async open(options: PipelineOptions, signals: ShutdownSignals): Promise<Pipeline | undefined> {
    const { store, name, settleMs, emit, origin, random, deadLetter } = options;
    const last = await store.load(name);
    const start = await findStartPosition(options, last, signals);
    if (start === undefined) return undefined;
    await using opened = new AsyncDisposableStack();
    const sink = opened.use(options.openSink(last?.pendingAcks));
    const { sealing } = options;
    const sealer = sealing && (await openSealer(sealing, options, sink, last, start));
    const mark = new HighWaterMark(settleMs, start.after, sealer?.known(start.delivered) ?? start.delivered);
    await deadLetter.open(mark.after);
    const changed = new Notifier();
    const pendingAcks = sink.pendingAcks?.bind(sink);
    const checkpoint = new CheckpointWriter({
      ...{ sink: name, origin, store, mark, emit, random, pendingAcks, last, changed, sealer },
    });
    if (start.from === 'now' || start.from === 'time') {
      checkpoint.touch();
      await checkpoint.save(signals);
    }
    // A death from here on is not a stop in good order.
    else if (sealer !== undefined && last !== undefined) checkpoint.touch();
    emit({ event: 'pipeline.start', sink: name, after: mark.head, cursor: mark.after, from: start.from });
    opened.move();
    return new Pipeline(options, { sink, mark, checkpoint, changed, sealer });
  }

  private constructor(options: PipelineOptions, parts: Parts) {
    const { sink, mark, checkpoint, changed, sealer } = parts;
    const { name, source, pageSize, emit, random, deadLetter } = options;
    this.name = name;
    this.#options = options;
    this.#sink = sink;
    this.#mark = mark;
    this.#checkpoint = checkpoint;
    this.#sealer = sealer;
    this.#changed = changed;
    const shared = { sink: name, emit, random, mark };
    this.#queue = new DeliveryQueue({
      ...{ ...shared, destination: sink, checkpoint, deadLetter, changed, sealer },
      ...(options.handover && { handover: options.handover }),
    });
    this.#reader = new Reader({ sink: name, source, mark, inFlight: this.#queue, pageSize, emit });
  }

  /** Closes the sink. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink[Symbol.asyncDispose]();
    this.#scope?.[Symbol.dispose]();
  }

  /** What is on the wire after the pipeline was replaced: the pipeline must stay open until each batch has its verdict. */
  get handedOver(): readonly ResumedBatch[] {
    return this.#queue.handedOver;
  }

  /** Resolves when nothing that was handed over is on the wire any more. */
  async handedOverIsSettled(): Promise<void> {
    const { handedOver } = this;
    if (!this.#queue.hasHandedOver) return;
    if (!this.#queue.isSending) await this.#sink.finish?.(this.#scope?.forced ?? AbortSignal.abort());
    await Promise.allSettled(handedOver.map(({ confirmed }) => confirmed));
  }

  /** Everything at or below is done for good. */
  get after(): Cursor {
    return this.#mark.after;
  }
  /** The greatest id that was read. */
  get head(): Cursor {
    return this.#mark.head;
  }
  /** Everything that was sent is confirmed and saved. */
  get isComplete(): boolean {
    return this.#queue.isEmpty && !this.#queue.hasInherited && this.isSaved;
  }
  /** Everything that is confirmed is saved. */
  get isSaved(): boolean {
    return !this.#checkpoint.isDirty;
  }
  /** The sink has not yet taken, or not yet confirmed, something. */
  get awaitsSink(): boolean {
    return !this.#queue.isIdle;
  }
  /** The destination refuses us until a person acts. */
  get parked(): Stop | undefined {
    return this.#queue.parked;
  }
  /** What prevents delivery, one printable line. */
  get lastError(): string | undefined {
    return this.#checkpoint.lastError ?? this.#queue.lastError;
  }
  /** When a page or a confirmation last arrived, or an event was dead-lettered, monotonic milliseconds. */
  get lastProgressMs(): number {
    return Math.max(this.#reader.lastPageMs, this.#queue.lastProgressMs);
  }

  /** Sends a status record of the forwarder's own, one at a time. @throws the reason of `forced` */
  sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict | Sent> {
    return this.#statusTurns.take(() => this.#sink.sendStatus(record, forced));
  }

  /** Seals that the sink `target` does not have, oldest first. @throws the storage's error */
  async *unsentSeals(target: string): AsyncGenerator<StoredSeal> {
    const sealer = this.#sealer;
    if (sealer !== undefined) yield* sealer.sealsAfter(sealer.sentTo(target));
  }

  /** The sink `target` has accepted this seal. */
  recordSealSent(target: string, seq: number): void {
    this.#sealer?.recordSent(target, seq);
    this.#checkpoint.touch();
  }

  /** Saves, after `run` or `once`, what changed since. */
  async saveRest({ forced }: ShutdownSignals): Promise<void> {
    if (!this.isSaved) await this.#checkpoint.save({ graceful: AbortSignal.abort(), forced });
  }

  /** Resolves when something changed, for example when a seal was written, or `stop` fires. */
  changed(stop: AbortSignal): Promise<void> {
    return this.#changed.wait(stop);
  }

  /** Polls at every tick until `signals.graceful`. @throws {SourceStop} @throws {SinkGone} @throws a bug */
  async run(ticks: Ticks, signals: ShutdownSignals): Promise<void> {
    await this.#whileDelivering(signals, async (inner) => {
      let last = Number.NEGATIVE_INFINITY;
      for (;;) {
        const tick = await ticks.next(last, inner.graceful);
        if (tick === undefined) return;
        last = tick;
        await this.#checkHistory(tick, inner);
        await this.#poll(tick, inner);
      }
    });
  }

  /** Catches up with the newest event as of `tickMs` (monotonic) or later, and has all of it confirmed and saved. */
  async once(tickMs: number, signals: ShutdownSignals): Promise<void> {
    await this.#whileDelivering(signals, async (inner) => {
      await this.#checkHistory(tickMs, inner);
      await this.#poll(tickMs, inner);
      await this.#queue.flush(inner);
      // Batches of an earlier process whose confirmation turned out to be lost are read again.
      if (this.#mark.firstLost !== undefined && !inner.graceful.aborted) {
        await this.#poll(tickMs, inner);
        await this.#queue.flush(inner);
      }
    });
  }

  async #poll(tickMs: number, signals: ShutdownSignals): Promise<void> {
    for await (const page of this.#reader.pages(tickMs, signals)) {
      this.#take(page);
      await this.#queue.room(signals);
      if (signals.graceful.aborted) return;
    }
    if (!signals.graceful.aborted) this.#queue.readUpTo();
  }

  /**
   * Takes a page over from the reader. Synchronous: no confirmation may arrive while its events are neither in the queue nor
   * done, or `after` would pass them.
   */
  #take({ observation, newEvents, missed }: NewPage): void {
    const { emit, name: sink } = this.#options;
    const startedMs = performance.now();
    const sealer = this.#sealer;
    sealer?.observe(observation.answered);
    const { records, filtered, broken } = encodePage(this.#queue.asAnnounced(newEvents), this.#options);
    if (newEvents.length > 0)
      emit({ event: 'pipeline.encoded', sink, records: records.length, elapsedMs: performance.now() - startedMs });
    // What appeared too late is in no seal yet: the dead letter gets it, and a seal amends the one that should have it.
    const tooLate = sealer === undefined ? [] : missed.map(unsendable);
    this.#queue.push(batches(records, this.#sink.limits), [...broken, ...tooLate]);
    const last = observation.ids.at(-1);
    if (last !== undefined) this.#queue.readUpTo(last);
    if (filtered.length > 0) {
      sealer?.filtered(filtered);
      const ids = filtered.map(({ id }) => id);
      this.#mark.settle(ids, this.#queue.first);
      this.#checkpoint.touch();
      emit({ event: 'pipeline.filtered', sink, events: filtered.length });
    }
    this.#mark.conclude(observation, this.#queue.first);
    // The first page of a chain: nothing is sent before it is saved that something may have been sent.
    if (sealer !== undefined && !this.#isSealing) this.#checkpoint.touch();
    this.#isSealing = true;
    this.#checkpoint.touchIfMoved();
  }

  /** Runs the queue beside `read`. When either ends, so does the other: what is in flight gets `graceMs`. */
  async #whileDelivering(signals: ShutdownSignals, read: (inner: ShutdownSignals) => Promise<void>): Promise<void> {
    const inner = scopeWithGrace(signals, this.#options.graceMs);
    this.#scope = inner;
    const delivering = this.#queue.run(inner).finally(() => inner.end());
    const reading = read(inner).finally(() => inner.end());
    // At a SIGHUP a parked sink is tried at once, even if the configuration did not change.
    const waking = this.#options.wake.each(inner.graceful, () => this.#queue.retryNow());
    const results = await Promise.allSettled([reading, delivering, waking]);
    // It can still stop what is handed over.
    if (this.handedOver.length === 0) inner[Symbol.dispose]();
    for (const result of results) {
      const isExpected =
        result.status === 'fulfilled' || (inner.forced.aborted && result.reason === inner.forced.reason);
      if (isExpected) continue;
      const isStop = result.reason instanceof SourceStop || result.reason instanceof SinkGone;
      if (isStop) await this.#close(signals);
      throw result.reason;
    }
    await this.#close(signals);
  }

  /** The last seal of this process. Without further attempts if the storage fails: nothing depends on it. */
  async #close({ forced }: ShutdownSignals): Promise<void> {
    await this.#checkpoint.close({ graceful: AbortSignal.abort(), forced });
  }

  /** Whether the log was rewritten: at the start and once in a while, before anything newer is delivered. */
  async #checkHistory(tickMs: number, signals: ShutdownSignals): Promise<void> {
    const { newest } = this.#checkpoint;
    if (newest === undefined || tickMs - this.#checkedMs < historyCheckMs) return;
    const result = await verifyLastDelivered(newest, this.#options.source, signals);
    if (result === 'unknown') return;
    this.#checkedMs = tickMs;
    if (result === 'rewritten') this.#checkpoint.keepNewest(newest);
    this.#options.emit({ event: 'pipeline.history_check', sink: this.name, id: newest.id, result });
  }
}

function unsendable(event: AuditEvent): Unsendable {
  const detail = 'it appeared behind the cursor later than settle allows';
  return { encoded: { event, redacted: event, record: event.text }, reason: 'timeout', detail };
}

function openSealer(
  sealing: SealingOptions,
  { emit, now }: PipelineOptions,
  sink: Sink,
  last: Checkpoint | undefined,
  { after, delivered }: { readonly after: Cursor; readonly delivered: readonly IdRange[] },
): Promise<Sealer> {
  const deps = {
    emit,
    now,
    recordOf: sink.recordOf?.bind(sink) ?? (({ record }: Encoded) => record),
    proof: () => sink.proof ?? sealing.proof(),
    mostInFlight: () => sink.window * sink.limits.maxEvents,
  };
  return Sealer.open({ ...sealing, ...deps }, last, { after, done: delivered });
}
