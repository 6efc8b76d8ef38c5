import type { Cursor, Encoded } from '../event/event.ts';
import type { Note } from '../event/status-record.ts';
import type { Notifier } from '../lib/notifier.ts';
import { type Life, mortal } from '../lib/shutdown.ts';
import type { SetAside, Verdict } from '../lib/verdict.ts';
import type { Sent, Sink } from '../sinks/sink.ts';
import type { Page, Source } from '../source/source.ts';
import type { CheckpointStore } from '../state/store.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';
import { Memory } from './checkpoint-writer.ts';
import type { DeadLetter } from './dead-letter.ts';
import { Lane } from './delivery-queue.ts';
import { batches, type Shape, shapeAll } from './encode.ts';
import { Progress } from './high-water-mark.ts';
import { lookUp } from './history-check.ts';
import { Fates } from './in-flight-recovery.ts';
import { Reader } from './reader.ts';
import { findStart, type StartAt } from './start-position.ts';
import type { Ticks } from './ticks.ts';
import { putAside } from './write-dead-letter.ts';

export interface RouteOptions extends Shape {
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
  readonly observe: Observe;
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
export class Route implements AsyncDisposable {
  readonly name: string;
  readonly #options: RouteOptions;
  readonly #sink: Sink;
  readonly #progress: Progress;
  readonly #memory: Memory;
  readonly #lane: Lane;
  readonly #setAside: (record: Encoded, verdict: SetAside, life: Life) => Promise<void>;
  readonly #reader: Reader;
  #setAsideMs = 0;
  #lookedUpMs = Number.NEGATIVE_INFINITY;
  readonly #fates: Fates;

  /**
   * Loads the checkpoint, or finds the start. A start that took asking is written down before anything else; any other
   * one with the first page, for until then nothing tells that the address is right. Undefined where `life` ends first.
   */
  static async open(options: RouteOptions, life: Life): Promise<Route | undefined> {
    const { store, name, settleMs, observe, origin, random, deadLetter } = options;
    const last = await store.load(name);
    const found = await findStart(options, last, life);
    if (found === undefined) return undefined;
    const progress = new Progress(settleMs, found.after, found.older ?? last?.delivered ?? []);
    await deadLetter.open(progress.after);
    const sink = options.openSink(last?.journal);
    const journal = sink.journal?.bind(sink);
    const memory = new Memory({ sink: name, source: origin, store, progress, observe, random, journal, last });
    if (found.from === 'now' || found.from === 'time') {
      memory.touch();
      await memory.commit(life);
    }
    const { head, after } = progress;
    observe({ event: 'route.start', sink: name, after: head, cursor: after, from: found.from });
    return new Route(options, sink, progress, memory);
  }

  private constructor(options: RouteOptions, sink: Sink, progress: Progress, memory: Memory) {
    this.name = options.name;
    this.#options = options;
    this.#sink = sink;
    this.#progress = progress;
    this.#memory = memory;
    this.#fates = new Fates(progress);
    const { source, pageSize, observe, random, wake, deadLetter } = options;
    this.#reader = new Reader({
      sink: options.name,
      source,
      progress,
      pageSize,
      observe,
      deliver: (events, inner) => this.#deliver(events, inner),
    });
    const aside = { sink: options.name, deadLetter, observe, random };
    this.#setAside = async (record, verdict, life) => {
      if (!(await putAside(record, verdict, aside, life))) return;
      memory.setAside(record);
      this.#setAsideMs = performance.now();
    };
    this.#lane = new Lane({
      name: options.name,
      sink,
      observe,
      random,
      wake,
      delivered: (records) => memory.delivered(records),
      setAside: this.#setAside,
      dirty: () => memory.dirty,
      commit: (life) => memory.commit(life),
      sent: () => sink.journal !== undefined && memory.touch(),
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
  get lane(): Lane {
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
  tell(note: Note, kill: AbortSignal): Promise<Verdict | Sent> {
    return this.#sink.tell(note, kill);
  }

  /** Polls at every tick until `life.stop`. @throws {SourceStop} and bugs, after what is on the wire is confirmed */
  async run(ticks: Ticks, life: Life): Promise<void> {
    await this.#besideLane(life, async (inner) => {
      let last = Number.NEGATIVE_INFINITY;
      for (;;) {
        const tick = await ticks.next(last, inner.stop);
        if (tick === undefined) return;
        last = tick;
        const { newest } = this.#memory;
        await this.#drain(tick, inner);
        await this.#lookUp(newest, tick, inner);
      }
    });
  }

  /** Catches up with the newest event as of `tickMs` (monotonic) or later, and has all of it confirmed. */
  async once(tickMs: number, life: Life): Promise<void> {
    await this.#besideLane(life, async (inner, fates) => {
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
  async #besideLane(life: Life, read: (inner: Life, fates: Promise<void>) => Promise<void>): Promise<void> {
    using inner = mortal(life, this.#options.graceMs);
    const lane = this.#lane.run(inner).finally(() => inner.end());
    const fates = this.#learnFates(inner);
    const reading = read(inner, fates).finally(() => inner.end());
    // At a SIGHUP what is parked is tried at once, also where the configuration stays as it is.
    const waking = this.#options.wake.each(inner.stop, () => this.#lane.retryNow());
    const [outcome, ...others] = await Promise.allSettled([reading, lane, fates, waking]);
    // What is left of a drop says nothing; why the reading ended does.
    const failed = [outcome, ...(inner.kill.aborted ? [] : others)].find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** Whether the log was rewritten since `newest` was delivered: at start and once in a while. */
  async #lookUp(newest: Memory['newest'], tickMs: number, life: Life): Promise<void> {
    if (newest === undefined || tickMs - this.#lookedUpMs < lookUpMs) return;
    const fate = await lookUp(newest, this.#options.source, life);
    if (fate === 'unknown') return;
    this.#lookedUpMs = tickMs;
    this.#options.observe({ event: 'route.newest', sink: this.name, id: newest.id, fate });
  }

  async #drain(tickMs: number, life: Life): Promise<void> {
    await this.#reader.drain(tickMs, life);
    if (this.#memory.dirty) this.#lane.nudge();
  }

  async #deliver(events: Page['events'], life: Life): Promise<void> {
    this.#memory.touchIfMoved();
    const startedMs = performance.now();
    const { records, filtered, broken } = shapeAll(events, this.#options);
    for (const { encoded, detail } of broken)
      await this.#setAside(encoded, { kind: 'set-aside', reason: 'malformed', detail }, life);
    if (events.length > 0) {
      const elapsedMs = performance.now() - startedMs;
      this.#options.observe({ event: 'route.encoded', sink: this.name, records: records.length, elapsedMs });
    }
    if (filtered.length > 0) {
      this.#progress.settle(filtered);
      this.#memory.touch();
      this.#options.observe({ event: 'route.filtered', sink: this.name, events: filtered.length });
    }
    for (const batch of batches(records, this.#sink.limits)) {
      if (life.stop.aborted) return;
      await this.#lane.offer(batch, life);
    }
  }

  #learnFates(life: Life): Promise<void> {
    return this.#fates.learn(this.#sink.recovered ?? [], life, (lost) => {
      if (lost) this.#reader.reread();
      this.#memory.touch();
      this.#lane.nudge();
    });
  }
}
