import type { CheckpointStore } from '../checkpoint/store.ts';
import { type Cursor, createdAtMs, type Encoded } from '../core/event.ts';
import type { Observe } from '../core/happening.ts';
import { type Life, mortal, unless, within } from '../core/life.ts';
import type { Notifier } from '../core/notifier.ts';
import type { Retry, SetAside } from '../core/verdict.ts';
import { insist } from '../net/retry.ts';
import type { Sink } from '../sink/sink.ts';
import type { Page, Source } from '../source/source.ts';
import type { DeadLetter } from './dead-letter.ts';
import { batches, type Shape, shape } from './encode.ts';
import { Lane } from './lane.ts';
import { Memory } from './memory.ts';
import { hasCome, Progress } from './progress.ts';
import type { StartAt } from './start.ts';
import { findStart } from './start.ts';
import type { Ticks } from './ticks.ts';

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
  readonly random: () => number;
  readonly wake: Notifier;
  /** How long what is in hand may take once the route stops, for whatever reason, milliseconds; then it is dropped. */
  readonly graceMs: number;
}

/** Pages of the window to read again in one poll, at most: the rest waits for the next. */
const sweepPages = 100;

/** One sink's way: read, shape, deliver, remember. */
export class Route implements AsyncDisposable {
  readonly name: string;
  readonly #options: RouteOptions;
  readonly #sink: Sink;
  readonly #progress: Progress;
  readonly #memory: Memory;
  readonly #lane: Lane;
  /** Events in a full page, as the server gives them: some cap the count. */
  #pageCap: number;
  /** Something behind the cursor must be read again. */
  #rereadDue = false;
  /** Batches of an earlier process whose fate is not known. */
  #fatesOpen = 0;
  /** When a page came, or the fate of such a batch. */
  #lastNewsMs = performance.now();
  /** Clock of the last page: local monotonic to server. */
  #serverAheadMs: number | undefined;

  /** Loads the checkpoint, or finds the start and writes it down before anything else. Undefined where `life` ends first. */
  static async open(options: RouteOptions, life: Life): Promise<Route | undefined> {
    const { store, name, settleMs, observe, origin, random, deadLetter } = options;
    const last = await store.load(name);
    const found = last === undefined ? await findStart(options.startAt, options.source, life) : undefined;
    if (last === undefined && found === undefined) return undefined;
    const progress = new Progress(settleMs, last?.after ?? found?.after ?? 0n, last?.delivered ?? []);
    await deadLetter.open(progress.after);
    const sink = options.openSink(last?.journal);
    const journal = sink.journal?.bind(sink);
    const memory = new Memory({ sink: name, source: origin, store, progress, observe, random, journal, last });
    if (found !== undefined) {
      memory.touch();
      await memory.commit(life);
    }
    observe({ event: 'route.start', sink: name, after: progress.head, from: found?.from ?? 'checkpoint' });
    return new Route(options, sink, progress, memory);
  }

  private constructor(options: RouteOptions, sink: Sink, progress: Progress, memory: Memory) {
    this.name = options.name;
    this.#options = options;
    this.#sink = sink;
    this.#progress = progress;
    this.#memory = memory;
    this.#pageCap = options.pageSize;
    this.#lane = new Lane({
      name: options.name,
      sink,
      observe: options.observe,
      random: options.random,
      wake: options.wake,
      delivered: (records) => memory.delivered(records),
      setAside: (record, verdict, life) => this.#setAside(record, verdict, life),
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
    return !this.#lane.isIdle || this.#fatesOpen > 0;
  }
  /** What holds this route up just now, one printable line. */
  get trouble(): string | undefined {
    return this.#memory.trouble ?? this.#lane.trouble;
  }
  /** When a page or a confirmation last came, monotonic milliseconds. */
  get lastProgressMs(): number {
    return Math.max(this.#lastNewsMs, this.#lane.lastAcceptedMs);
  }

  /** Polls at every tick until `life.stop`. @throws {SourceStop} and bugs, after what is on the wire is confirmed */
  async run(ticks: Ticks, life: Life): Promise<void> {
    await this.#besideLane(life, async (inner) => {
      let last = Number.NEGATIVE_INFINITY;
      for (;;) {
        const tick = await ticks.next(last, inner.stop);
        if (tick === undefined) return;
        last = tick;
        await this.#drain(tick, inner);
      }
    });
  }

  /** Catches up with the newest event as of `tickMs` (monotonic) or later, and has all of it confirmed. */
  async once(tickMs: number, life: Life): Promise<void> {
    await this.#besideLane(life, async (inner, fates) => {
      await this.#drain(tickMs, inner);
      await this.#lane.flush(inner);
      await fates;
      if (!this.#rereadDue) return;
      await this.#drain(tickMs, inner);
      await this.#lane.flush(inner);
    });
  }

  /** Runs the lane beside `read`; when either ends, so does the other, in good order and within `graceMs`. */
  async #besideLane(life: Life, read: (inner: Life, fates: Promise<void>) => Promise<void>): Promise<void> {
    using inner = mortal(life, this.#options.graceMs);
    const lane = this.#lane.run(inner).finally(() => inner.end());
    const fates = this.#learnFates(inner);
    const reading = read(inner, fates).finally(() => inner.end());
    const [outcome, ...others] = await Promise.allSettled([reading, lane, fates]);
    // What is left of a drop says nothing; why the reading ended does.
    const failed = [outcome, ...(inner.kill.aborted ? [] : others)].find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** Reads until a page brings nothing new, then what of the window has settled since. */
  async #drain(tickMs: number, life: Life): Promise<void> {
    const progress = this.#progress;
    // A window that fits into one page is read with the news, in one request; a larger one not at every poll.
    const small = progress.windowSize < this.#pageCap || this.#rereadDue;
    this.#rereadDue = false;
    const fresh = await this.#read(small ? progress.after : progress.head, tickMs, life, false);
    this.#options.observe({ event: 'route.poll', sink: this.name, fresh });
    if (!small && this.#sweepDue(tickMs)) await this.#read(progress.after, tickMs, life, true);
    if (this.#memory.dirty) this.#lane.nudge();
  }

  #sweepDue(tickMs: number): boolean {
    const { settledAt } = this.#progress;
    const serverMs = this.#serverAheadMs === undefined ? undefined : tickMs + this.#serverAheadMs;
    return settledAt === undefined || hasCome(settledAt, { monotonicMs: tickMs, serverMs });
  }

  /** Reads pages from `from` on, the next one while the last is being delivered; gives how many events were new. */
  async #read(from: Cursor, tickMs: number, life: Life, sweep: boolean): Promise<number> {
    const { source } = this.#options;
    const inner = within(life);
    let fresh = 0;
    let pages = 0;
    let before: Page | undefined;
    let next: Promise<Page | undefined> | undefined = source.page(from, tickMs, inner);
    try {
      while (next !== undefined) {
        const page: Page | undefined = await next;
        if (page === undefined) break;
        pages += 1;
        this.#learnCap(page, before);
        before = page;
        const taken = this.#take(page);
        fresh += taken.length;
        const last: Cursor | undefined = page.events.at(-1)?.id;
        const goesOn: boolean = sweep
          ? last !== undefined && this.#progress.after >= last && pages < sweepPages
          : last !== undefined && (taken.length > 0 || last < this.#progress.head);
        next = goesOn && last !== undefined ? source.page(last, tickMs, inner) : undefined;
        next?.catch(() => {});
        await this.#deliver(taken, life);
      }
    } finally {
      inner.end();
      await next?.catch(() => {});
    }
    return fresh;
  }

  /** A server that gives less than it is asked for shows it by pages of one length. */
  #learnCap(page: Page, before: Page | undefined): void {
    const { length } = page.events;
    if (length > this.#pageCap) this.#pageCap = this.#options.pageSize;
    else if (length >= 10 && length === before?.events.length) this.#pageCap = length;
  }

  /** Takes a page in; what of it is new counts as in flight from here on. */
  #take(page: Page): Page['events'] {
    this.#lastNewsMs = performance.now();
    const { serverMs, monotonicMs } = page.asked;
    this.#serverAheadMs = serverMs === undefined ? undefined : serverMs - monotonicMs;
    const events = page.events.map((event) => ({ id: event.id, createdAtMs: createdAtMs(event) }));
    const { fresh, late } = this.#progress.offer({ ...page, events });
    const [first] = late;
    if (first !== undefined)
      this.#options.observe({ event: 'route.late', sink: this.name, events: late.length, first });
    this.#memory.touchIfMoved();
    return fresh.size === page.events.length ? page.events : page.events.filter(({ id }) => fresh.has(id));
  }

  async #deliver(events: Page['events'], life: Life): Promise<void> {
    const records: Encoded[] = [];
    const filtered: Cursor[] = [];
    for (const event of events) {
      const shaped = shape(event, this.#options);
      if (shaped.kind === 'record') records.push(shaped.encoded);
      else if (shaped.kind === 'filtered') filtered.push(event.id);
      else
        await this.#setAside(shaped.encoded, { kind: 'set-aside', reason: 'malformed', detail: shaped.detail }, life);
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

  /** Batches that an earlier process sent: what the far side says of them settles them, or has them read again. */
  async #learnFates(life: Life): Promise<void> {
    const fates = (this.#sink.recovered ?? []).map(async ({ ranges, confirmed }) => {
      const ids = ranges.flatMap(([from, to]) => [...idsBetween(from, to)]);
      this.#progress.resume(ids);
      this.#fatesOpen += 1;
      const verdict = await unless(
        life.stop,
        confirmed.catch(() => undefined),
      );
      this.#fatesOpen -= 1;
      this.#lastNewsMs = performance.now();
      if (verdict?.kind === 'accepted') this.#progress.settle(ids);
      else {
        this.#progress.release(ids);
        this.#rereadDue = true;
      }
      this.#memory.touch();
      this.#lane.nudge();
    });
    await Promise.all(fates);
  }

  async #setAside(record: Encoded, { reason, detail }: SetAside, life: Life): Promise<void> {
    const { deadLetter, observe, random } = this.#options;
    const verdict = await insist<Retry | { kind: 'kept' }>(
      async () => {
        try {
          await deadLetter.append({ sink: this.name, reason: `${reason}: ${detail}`, event: record.event });
          return { kind: 'kept' };
        } catch (error) {
          return {
            kind: 'retry',
            reason: 'server',
            detail: `the dead letter can't be written: ${(error as Error).message}`,
          };
        }
      },
      {
        firstMs: 500,
        longestMs: 10_000,
        random,
        onRetry: (retry, attempt, waitMs) =>
          observe({ event: 'checkpoint.retry', sink: this.name, detail: retry.detail, attempt, waitMs }),
      },
      life,
    );
    if (verdict.kind !== 'kept') return;
    this.#memory.setAside(record);
    observe({ event: 'route.set_aside', sink: this.name, id: record.event.id, reason, detail });
  }
}

function* idsBetween(from: Cursor, to: Cursor): Generator<Cursor> {
  for (let id = from; id <= to; id++) yield id;
}
