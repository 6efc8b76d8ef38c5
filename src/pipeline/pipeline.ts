// Above 250 lines until the delivery queue owns all that is in flight.
import type { Cursor, Encoded } from '../event/event.ts';
import type { StartAt } from '../event/start-at.ts';
import type { StatusRecord } from '../event/status-record.ts';
import type { Notifier } from '../lib/notifier.ts';
import { type ShutdownSignals, scopeWithGrace } from '../lib/shutdown.ts';
import type { Reject, Verdict } from '../lib/verdict.ts';
import type { Sent, Sink } from '../sinks/sink.ts';
import type { Page, Source } from '../source/source.ts';
import type { CheckpointStore } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { CheckpointWriter } from './checkpoint-writer.ts';
import type { DeadLetter } from './dead-letter.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { batches, type EncodingOptions, encodeAll } from './encode.ts';
import { HighWaterMark } from './high-water-mark.ts';
import { verifyLastDelivered } from './history-check.ts';
import { InFlightRecovery } from './in-flight-recovery.ts';
import { Reader } from './reader.ts';
import { findStartPosition } from './start-position.ts';
import type { Ticks } from './ticks.ts';
import { writeDeadLetter } from './write-dead-letter.ts';

export interface PipelineOptions extends EncodingOptions {
  readonly name: string;
  /** Origin of the tenant. */
  readonly origin: string;
  readonly source: Source;
  /** Opens the sink, given what it remembered in an earlier process. */
  readonly openSink: (journal: unknown) => Sink;
  readonly store: CheckpointStore;
  readonly deadLetter: DeadLetter;
  readonly settleMs: number;
  readonly pageSize: number;
  readonly startAt: StartAt;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  readonly wake: Notifier;
  /** How long what is in hand may take once the route stops, for whatever reason, milliseconds; then it is dropped. */
  readonly graceMs: () => number;
}

/** How often the newest delivered event is looked up, milliseconds. */
const lookUpMs = 3_600_000;

/** One sink's way: read, shape, deliver, remember. */
export class Pipeline implements AsyncDisposable {
  readonly name: string;
  readonly #options: PipelineOptions;
  readonly #sink: Sink;
  readonly #progress: HighWaterMark;
  readonly #memory: CheckpointWriter;
  readonly #lane: DeliveryQueue;
  readonly #setAside: (record: Encoded, verdict: Reject, signals: ShutdownSignals) => Promise<void>;
  readonly #reader: Reader;
  #setAsideMs = 0;
  #lookedUpMs = Number.NEGATIVE_INFINITY;
  readonly #fates: InFlightRecovery;

  /**
   * Loads the checkpoint, or finds the start. A start that took asking is written down before anything else; any other
   * one with the first page, for until then nothing tells that the address is right. Undefined where `life` ends first.
   */
  static async open(options: PipelineOptions, signals: ShutdownSignals): Promise<Pipeline | undefined> {
    const { store, name, settleMs, emit, origin, random, deadLetter } = options;
    const last = await store.load(name);
    const found = await findStartPosition(options, last, signals);
    if (found === undefined) return undefined;
    const progress = new HighWaterMark(settleMs, found.after, found.older ?? last?.delivered ?? []);
    await deadLetter.open(progress.after);
    const sink = options.openSink(last?.pendingAcks);
    const journal = sink.pendingAcks?.bind(sink);
    const memory = new CheckpointWriter({
      sink: name,
      source: origin,
      store,
      progress,
      emit,
      random,
      journal,
      last,
    });
    if (found.from === 'now' || found.from === 'time') {
      memory.touch();
      await memory.commit(signals);
    }
    const { head, after } = progress;
    emit({ event: 'pipeline.start', sink: name, after: head, cursor: after, from: found.from });
    return new Pipeline(options, sink, progress, memory);
  }

  private constructor(options: PipelineOptions, sink: Sink, progress: HighWaterMark, memory: CheckpointWriter) {
    this.name = options.name;
    this.#options = options;
    this.#sink = sink;
    this.#progress = progress;
    this.#memory = memory;
    this.#fates = new InFlightRecovery(progress);
    const { source, pageSize, emit, random, wake, deadLetter } = options;
    this.#reader = new Reader({
      sink: options.name,
      source,
      progress,
      pageSize,
      emit,
      deliver: (events, inner) => this.#deliver(events, inner),
    });
    const aside = { sink: options.name, deadLetter, emit, random };
    this.#setAside = async (record, verdict, signals) => {
      if (!(await writeDeadLetter(record, verdict, aside, signals))) return;
      memory.setAside(record);
      this.#setAsideMs = performance.now();
    };
    this.#lane = new DeliveryQueue({
      name: options.name,
      sink,
      emit,
      random,
      wake,
      delivered: (records) => memory.delivered(records),
      setAside: this.#setAside,
      dirty: () => memory.dirty,
      commit: (signals) => memory.commit(signals),
      sent: () => sink.pendingAcks !== undefined && memory.touch(),
      refusedInRow: () => memory.refusedInRow,
    });
  }

  /** Closes the sink. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink[Symbol.asyncDispose]();
  }

  get after(): Cursor {
    return this.#progress.after;
  }
  get head(): Cursor {
    return this.#progress.head;
  }
  /** Whether all that is confirmed is on disk. */
  get isSaved(): boolean {
    return !this.#memory.dirty;
  }
  get lane(): DeliveryQueue {
    return this.#lane;
  }
  /** Whether the sink has yet to take, or to confirm, something. */
  get awaitsSink(): boolean {
    return !this.#lane.isIdle || this.#fates.open > 0;
  }
  /** What holds this route up just now, one printable line. */
  get trouble(): string | undefined {
    return this.#memory.trouble ?? this.#lane.trouble;
  }
  /** When a page or a confirmation last came, or an event was set aside, monotonic milliseconds. */
  get lastProgressMs(): number {
    return Math.max(this.#reader.lastPageMs, this.#lane.lastAcceptedMs, this.#fates.lastMs, this.#setAsideMs);
  }

  /** Sends a record of the forwarder's own. @throws the reason of `kill` */
  tell(note: StatusRecord, kill: AbortSignal): Promise<Verdict | Sent> {
    return this.#sink.sendStatus(note, kill);
  }

  /** Polls at every tick until `signals.graceful`. @throws {SourceStop} and bugs, after what is on the wire is confirmed */
  async run(ticks: Ticks, signals: ShutdownSignals): Promise<void> {
    await this.#besideLane(signals, async (inner) => {
      let last = Number.NEGATIVE_INFINITY;
      for (;;) {
        const tick = await ticks.next(last, inner.graceful);
        if (tick === undefined) return;
        last = tick;
        const { newest } = this.#memory;
        await this.#drain(tick, inner);
        await this.#lookUp(newest, tick, inner);
      }
    });
  }

  /** Catches up with the newest event as of `tickMs` (monotonic) or later, and has all of it confirmed. */
  async once(tickMs: number, signals: ShutdownSignals): Promise<void> {
    await this.#besideLane(signals, async (inner, fates) => {
      const { newest } = this.#memory;
      await this.#drain(tickMs, inner);
      await this.#lane.flush(inner);
      await fates;
      if (this.#reader.rereadDue) {
        await this.#drain(tickMs, inner);
        await this.#lane.flush(inner);
      }
      await this.#lookUp(newest, tickMs, inner);
    });
  }

  /** Runs the lane beside `read`; when either ends, so does the other, in good order and within `graceMs`. */
  async #besideLane(
    signals: ShutdownSignals,
    read: (inner: ShutdownSignals, fates: Promise<void>) => Promise<void>,
  ): Promise<void> {
    using inner = scopeWithGrace(signals, this.#options.graceMs);
    const lane = this.#lane.run(inner).finally(() => inner.end());
    const fates = this.#learnFates(inner);
    const reading = read(inner, fates).finally(() => inner.end());
    // At a SIGHUP what is parked is tried at once, also where the configuration stays as it is.
    const waking = this.#options.wake.each(inner.graceful, () => this.#lane.retryNow());
    const [outcome, ...others] = await Promise.allSettled([reading, lane, fates, waking]);
    // What is left of a drop says nothing; why the reading ended does.
    const failed = [outcome, ...(inner.forced.aborted ? [] : others)].find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** Whether the log was rewritten since `newest` was delivered: at start and once in a while. */
  async #lookUp(newest: CheckpointWriter['newest'], tickMs: number, signals: ShutdownSignals): Promise<void> {
    if (newest === undefined || tickMs - this.#lookedUpMs < lookUpMs) return;
    const result = await verifyLastDelivered(newest, this.#options.source, signals);
    if (result === 'unknown') return;
    this.#lookedUpMs = tickMs;
    this.#options.emit({ event: 'pipeline.history_check', sink: this.name, id: newest.id, result });
  }

  async #drain(tickMs: number, signals: ShutdownSignals): Promise<void> {
    await this.#reader.drain(tickMs, signals);
    if (this.#memory.dirty) this.#lane.nudge();
  }

  async #deliver(events: Page['events'], signals: ShutdownSignals): Promise<void> {
    this.#memory.touchIfMoved();
    const startedMs = performance.now();
    const { records, filtered, broken } = encodeAll(events, this.#options);
    for (const { encoded, detail } of broken)
      await this.#setAside(encoded, { kind: 'reject', reason: 'malformed', detail }, signals);
    if (events.length > 0) {
      const elapsedMs = performance.now() - startedMs;
      this.#options.emit({ event: 'pipeline.encoded', sink: this.name, records: records.length, elapsedMs });
    }
    if (filtered.length > 0) {
      this.#progress.settle(filtered);
      this.#memory.touch();
      this.#options.emit({ event: 'pipeline.filtered', sink: this.name, events: filtered.length });
    }
    for (const batch of batches(records, this.#sink.limits)) {
      if (signals.graceful.aborted) return;
      await this.#lane.offer(batch, signals);
    }
  }

  #learnFates(signals: ShutdownSignals): Promise<void> {
    return this.#fates.resolve(this.#sink.resumed ?? [], signals, (lost) => {
      if (lost) this.#reader.reread();
      this.#memory.touch();
      this.#lane.nudge();
    });
  }
}
