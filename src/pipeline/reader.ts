import type { AuditEvent, Cursor } from '../event/event.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { Page, Source } from '../source/source.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { type HighWaterMark, hasCome, type PageObservation } from './high-water-mark.ts';

interface ReaderOptions {
  readonly sink: string;
  readonly source: Source;
  readonly mark: HighWaterMark;
  /** What the delivery queue has. */
  readonly inFlight: { has(id: Cursor): boolean; countAbove(id: Cursor): number };
  readonly pageSize: number;
  readonly emit: Emit;
}

/** A page, and its events that are neither done nor in flight, in order of id. */
export interface NewPage {
  readonly observation: PageObservation;
  readonly newEvents: readonly AuditEvent[];
  /** Appeared at or below `after`, later than `settle` allows. */
  readonly missed: readonly AuditEvent[];
}

/** Assumes that a server caps the page at 10 events or more. */
const smallestCap = 10;
/** Pages of the window to read again in one poll; the rest waits for the next poll. */
const maxSweepPages = 100;
/** How often a poll also reads the events just behind `after`, to report those that appeared there too late. */
const lookBackMs = 5 * 60_000;

/**
 * Reads what a sink does not have. The first poll of a process reads from the frontier to the end of the log, because an
 * earlier process may have left gaps anywhere below the head. After that, a window that fits into one page is read together
 * with the new events, in one request. A larger window is read again ("swept") only when its first event has settled;
 * until then polls start at the head.
 */
export class Reader {
  readonly #options: ReaderOptions;
  /** Events in a full page: some servers cap the count. */
  #pageCap: number;
  /** Events in the longest page so far. Another page of this length may be full, whatever was requested. */
  #longestPage = smallestCap;
  #isCaughtUp = false;
  #lastPageMs = performance.now();
  #lookedBackMs = performance.now();
  /** The server's clock minus the monotonic clock, as of the last page; undefined without a Date header. */
  #serverAheadMs: number | undefined;
  #newEvents = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#pageCap = options.pageSize;
  }

  /** When the last page arrived, monotonic milliseconds. */
  get lastPageMs(): number {
    return this.#lastPageMs;
  }

  /**
   * The pages of one poll: until a page brings nothing new, or only events younger than `tickMs` (a busy tenant has new
   * events for ever), then the part of the window that has settled. While a page is processed, the next one is fetched.
   */
  async *pages(tickMs: number, signals: ShutdownSignals): AsyncGenerator<NewPage, void> {
    const { mark, emit, sink } = this.#options;
    emit({ event: 'pipeline.polling', sink });
    this.#newEvents = 0;
    const readsWindow = !this.#isCaughtUp || mark.firstLost !== undefined || this.#windowSize() < this.#pageCap;
    yield* this.#read(readsWindow ? this.#start(tickMs) : mark.head, 'forward', tickMs, signals);
    emit({ event: 'pipeline.poll', sink, newEvents: this.#newEvents });
    if (!readsWindow && this.#isSweepDue(tickMs)) yield* this.#read(mark.frontier, 'sweep', tickMs, signals);
  }

  #windowSize(): number {
    const { mark, inFlight } = this.#options;
    return mark.doneInWindow + inFlight.countAbove(mark.frontier);
  }

  #start(tickMs: number): Cursor {
    const { frontier, firstLost, firstRemembered, remembered } = this.#options.mark;
    if (firstLost !== undefined && firstLost <= frontier) return firstLost - 1n;
    const fits = this.#windowSize() + remembered < this.#pageCap;
    if (!this.#isCaughtUp || firstRemembered === undefined || !fits || tickMs - this.#lookedBackMs < lookBackMs)
      return frontier;
    this.#lookedBackMs = tickMs;
    return firstRemembered - 1n;
  }

  #isSweepDue(tickMs: number): boolean {
    const { settledAt } = this.#options.mark;
    const serverMs = this.#serverAheadMs === undefined ? undefined : tickMs + this.#serverAheadMs;
    return settledAt === undefined || hasCome(settledAt, { monotonicMs: tickMs, serverMs });
  }

  async *#read(
    from: Cursor,
    mode: 'forward' | 'sweep',
    tickMs: number,
    signals: ShutdownSignals,
  ): AsyncGenerator<NewPage, void> {
    const { source, mark } = this.#options;
    const inner = childScope(signals);
    // Settled results: a page that is fetched ahead and fails must not be an unhandled rejection.
    const fetch = async (after: Cursor) => (await Promise.allSettled([source.page(after, tickMs, inner)]))[0];
    let ahead: ReturnType<typeof fetch> | undefined = fetch(from);
    let pages = 0;
    let before: Page | undefined;
    try {
      while (ahead !== undefined) {
        const result: Awaited<ReturnType<typeof fetch>> = await ahead;
        ahead = undefined;
        if (result.status === 'rejected') throw result.reason;
        const page = result.value;
        if (page === undefined) return;
        pages += 1;
        this.#learnCap(page, before);
        before = page;
        const { isSettled, ...taken } = this.#take(page);
        if (mode === 'forward') this.#newEvents += taken.newEvents.length;
        const last = page.events.at(-1)?.id;
        const isEnd =
          last === undefined ||
          (mode === 'sweep' ? !isSettled || pages >= maxSweepPages : this.#isEnd(page, last, taken.newEvents, tickMs));
        // Something before this page must be read again by a separate poll.
        const isInterrupted = mark.firstLost !== undefined && mark.firstLost <= page.after;
        if (mode === 'forward' && isEnd) this.#isCaughtUp = true;
        if (!isEnd && !isInterrupted) ahead = fetch(last);
        yield taken;
      }
    } finally {
      inner.end();
      // Not needed any more. A source that has stopped reports it again at the next call.
      await ahead;
    }
  }

  /**
   * Whether the log as of `tickMs` ends in this page: it brings nothing new and is not full (known events that fill it say
   * nothing about what follows), or it is not full and holds only events created since, by the server's clock.
   */
  #isEnd(page: Page, last: Cursor, newEvents: readonly AuditEvent[], tickMs: number): boolean {
    const { head } = this.#options.mark;
    if (last < head) return false;
    if (newEvents.length === 0) return page.after >= head || page.events.length < this.#longestPage;
    const { serverMs, monotonicMs } = page.answered;
    if (serverMs === undefined || page.events.length >= this.#pageCap) return false;
    const tickServerMs = serverMs - (monotonicMs - tickMs);
    return newEvents.every((event) => (event.createdAtMs ?? Number.NEGATIVE_INFINITY) >= tickServerMs);
  }

  /** A server that caps the page shows it by pages of equal length. */
  #learnCap(page: Page, before: Page | undefined): void {
    const { length } = page.events;
    this.#longestPage = Math.max(this.#longestPage, length);
    if (length > this.#pageCap) this.#pageCap = this.#options.pageSize;
    else if (length >= smallestCap && length === before?.events.length) this.#pageCap = length;
  }

  #take(page: Page): NewPage & { readonly isSettled: boolean } {
    this.#lastPageMs = performance.now();
    const { serverMs, monotonicMs } = page.asked;
    this.#serverAheadMs = serverMs === undefined ? undefined : serverMs - monotonicMs;
    const { mark, inFlight, emit, sink } = this.#options;
    const observation = observe(page);
    const { newIds, late, missed, isSettled } = mark.sift(observation, (id) => inFlight.has(id));
    const [firstLate] = late;
    if (firstLate !== undefined) emit({ event: 'pipeline.late', sink, events: late.length, first: firstLate });
    const firstMissed = missed[0];
    const lastMissed = missed.at(-1);
    if (firstMissed !== undefined && lastMissed !== undefined)
      emit({ event: 'pipeline.missed', sink, events: missed.length, first: firstMissed, last: lastMissed });
    const events = { newEvents: withIds(page.events, newIds), missed: withIds(page.events, missed) };
    return { observation, ...events, isSettled };
  }
}

function observe({ events, after, asked, answered }: Page): PageObservation {
  const ids = events.map(({ id }) => id);
  const times = new Float64Array(events.length);
  events.forEach((event, at) => {
    times[at] = event.createdAtMs ?? Number.NaN;
  });
  return { after, asked, answered, ids, times };
}

/** Those of `events` that have one of the `ids`; both ascend. */
function withIds(events: readonly AuditEvent[], ids: readonly Cursor[]): readonly AuditEvent[] {
  if (ids.length === events.length) return events;
  let next = 0;
  return events.filter(({ id }) => {
    if (id !== ids[next]) return false;
    next += 1;
    return true;
  });
}
