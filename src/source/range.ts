import type { Cursor } from '../event/event.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Page, Source } from './source.ts';

export interface RangeOptions {
  readonly source: Source;
  /** The last id of the range. */
  readonly until: Cursor;
  /** Called before each page. */
  readonly turn: () => Promise<void>;
}

/** A log that ends at `until`, whatever follows in its source. */
export class RangeSource implements Source {
  readonly #options: RangeOptions;

  constructor(options: RangeOptions) {
    this.#options = options;
  }

  get lastError(): string | undefined {
    return this.#options.source.lastError;
  }

  async page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined> {
    const { source, until, turn } = this.#options;
    if (after >= until) return emptyPage(after);
    await turn();
    return this.#cut(await source.page(after, notBeforeMs, signals));
  }

  async peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined> {
    const { source, until } = this.#options;
    return after >= until ? emptyPage(after) : this.#cut(await source.peek(after, signals));
  }

  #cut(page: Page | undefined): Page | undefined {
    const { until } = this.#options;
    const last = page?.events.at(-1)?.id;
    if (page === undefined || last === undefined || last <= until) return page;
    return { ...page, events: page.events.filter(({ id }) => id <= until) };
  }
}

/** A page without events that was not requested. */
export function emptyPage(after: Cursor): Page {
  const moment = { monotonicMs: performance.now(), serverMs: undefined };
  return { after, events: [], asked: moment, answered: moment };
}
