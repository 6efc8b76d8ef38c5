import type { Cursor } from '../event/event.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { Page, Source } from '../source/source.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { type HighWaterMark, hasCome, type PageObservation } from './high-water-mark.ts';

export interface ReaderOptions {
  readonly sink: string;
  readonly source: Source;
  readonly progress: HighWaterMark;
  readonly pageSize: number;
  readonly emit: Emit;
  /** Takes what is new, in order of id; resolves when there is room for more. */
  readonly deliver: (events: Page['events'], signals: ShutdownSignals) => Promise<void>;
}

/** A server that gives fewer events than that in a full page is not thought of. */
const shortestCap = 10;
/** Pages of the window to read again in one poll, at most: the rest waits for the next. */
const sweepPages = 100;

/** Reads what a sink does not have yet: the news, and what appeared behind the cursor. */
export class Reader {
  readonly #options: ReaderOptions;
  /** Events in a full page, as the server gives them: some cap the count. */
  #pageCap: number;
  /** Events in the longest page so far: one as long may be full, whatever was asked for. */
  #longestPage = shortestCap;
  /** Something behind the cursor must be read again. */
  #rereadDue = false;
  #lastPageMs = performance.now();
  /** How far the server's clock is ahead of the monotonic one, as of the last page. */
  #serverAheadMs: number | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#pageCap = options.pageSize;
  }

  /** When a page last came, monotonic milliseconds. */
  get lastPageMs(): number {
    return this.#lastPageMs;
  }
  get rereadDue(): boolean {
    return this.#rereadDue;
  }

  /** What is behind the cursor is read again with the next drain. */
  reread(): void {
    this.#rereadDue = true;
  }

  /**
   * Reads until a page brings nothing new, or nothing older than `tickMs` (a tenant that is never still has news for ever,
   * and the window has its turn), then what of the window has settled since.
   */
  async drain(tickMs: number, signals: ShutdownSignals): Promise<void> {
    const { progress, emit, sink } = this.#options;
    emit({ event: 'pipeline.polling', sink });
    // A window that fits into one page is read with the news, in one request; a larger one not at every poll.
    const isSmall = () => progress.windowSize < this.#pageCap || this.#rereadDue;
    // Of a large one from an earlier process nothing is known; it comes first, lest news pile up above it.
    const swept = !isSmall() && progress.settledAt === undefined;
    if (swept) await this.#read(progress.after, tickMs, signals, true);
    const small = isSmall();
    this.#rereadDue = false;
    const fresh = await this.#read(small ? progress.after : progress.head, tickMs, signals, false);
    emit({ event: 'pipeline.poll', sink, newEvents: fresh });
    if (!small && !swept && this.#sweepDue(tickMs)) await this.#read(progress.after, tickMs, signals, true);
  }

  #sweepDue(tickMs: number): boolean {
    const { settledAt } = this.#options.progress;
    const serverMs = this.#serverAheadMs === undefined ? undefined : tickMs + this.#serverAheadMs;
    return settledAt === undefined || hasCome(settledAt, { monotonicMs: tickMs, serverMs });
  }

  /** Reads pages from `from` on, the next one while the last is being delivered; gives how many events were new. */
  async #read(from: Cursor, tickMs: number, signals: ShutdownSignals, sweep: boolean): Promise<number> {
    const { source, progress, deliver } = this.#options;
    const inner = childScope(signals);
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
        fresh += taken.events.length;
        const last: Cursor | undefined = page.events.at(-1)?.id;
        const goesOn: boolean = sweep
          ? last !== undefined && taken.settled && pages < sweepPages
          : last !== undefined && (last < progress.head || !this.#isEnd(page, taken.events, tickMs));
        next = goesOn && last !== undefined ? source.page(last, tickMs, inner) : undefined;
        next?.catch(() => {});
        await deliver(taken.events, signals);
      }
    } finally {
      inner.end();
      await next?.catch(() => {});
    }
    return fresh;
  }

  /**
   * Whether the log as it was at `tickMs` ends in this page: it brought nothing new (known events that may fill it say
   * nothing of what is behind them), or, while not full, only what was created since, by the server's clock.
   */
  #isEnd(page: Page, fresh: Page['events'], tickMs: number): boolean {
    if (fresh.length === 0) return page.after >= this.#options.progress.head || page.events.length < this.#longestPage;
    const { serverMs, monotonicMs } = page.answered;
    if (serverMs === undefined || page.events.length >= this.#pageCap) return false;
    const tickServerMs = serverMs - (monotonicMs - tickMs);
    return fresh.every((event) => (event.createdAtMs ?? Number.NEGATIVE_INFINITY) >= tickServerMs);
  }

  /** A server that gives less than it is asked for shows it by pages of one length. */
  #learnCap(page: Page, before: Page | undefined): void {
    const { length } = page.events;
    this.#longestPage = Math.max(this.#longestPage, length);
    if (length > this.#pageCap) this.#pageCap = this.#options.pageSize;
    else if (length >= shortestCap && length === before?.events.length) this.#pageCap = length;
  }

  /** Takes a page in; what of it is new counts as in flight from here on. */
  #take(page: Page): { events: Page['events']; settled: boolean } {
    this.#lastPageMs = performance.now();
    const { serverMs, monotonicMs } = page.asked;
    this.#serverAheadMs = serverMs === undefined ? undefined : serverMs - monotonicMs;
    const { progress, emit, sink } = this.#options;
    const { fresh, late, settled } = progress.offer(evidenceOf(page));
    const [first] = late;
    if (first !== undefined) emit({ event: 'pipeline.late', sink, events: late.length, first });
    return { events: withIds(page.events, fresh), settled };
  }
}

function evidenceOf({ events, after, asked, answered }: Page): PageObservation {
  const ids = events.map(({ id }) => id);
  const times = new Float64Array(events.length);
  events.forEach((event, at) => {
    times[at] = event.createdAtMs ?? Number.NaN;
  });
  return { after, asked, answered, ids, times };
}

/** Those of `events` that have one of the `ids`; both ascend. */
function withIds(events: Page['events'], ids: readonly Cursor[]): Page['events'] {
  if (ids.length === events.length) return events;
  let next = 0;
  return events.filter(({ id }) => {
    if (id !== ids[next]) return false;
    next += 1;
    return true;
  });
}
