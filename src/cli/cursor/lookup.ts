import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type AuditEvent, type Cursor, eventValue } from '../../event/event.ts';
import type { StartAt } from '../../event/start-at.ts';
import type { HttpClient } from '../../lib/http.ts';
import { printable } from '../../lib/printable.ts';
import { findPosition } from '../../pipeline/start-position.ts';
import { RateLimiter } from '../../source/rate-limiter.ts';
import type { Page, Source } from '../../source/source.ts';
import { fetchOnce } from '../fetch-once.ts';

/** What a person needs of an event to place a cursor in time. */
export interface EventSummary {
  readonly id: Cursor;
  /** As the API wrote it, printable; '' if it sent none. */
  readonly createdAt: string;
  readonly action: string;
}

/** How many events a range of ids holds: counted (`exact`), or the number of ids as an upper bound. */
export interface Between {
  readonly events: bigint;
  readonly exact: boolean;
}

/** Timeout of one request, milliseconds: a person is waiting. */
const maxTimeoutMs = 10_000;
/** Page size of the API (contract section 1): as many events are counted in one request. */
const maxPageSize = 1000n;

/**
 * Asks the API which events are at a cursor. If a request fails, `problem` says why and no further one is sent.
 * No method throws because of the API.
 */
export class Lookup implements Disposable {
  readonly #config: Config;
  readonly #ctx: Context;
  readonly #stop: AbortSignal;
  readonly #rateLimiter: RateLimiter;
  #http: HttpClient | undefined;
  #problem: string | undefined;

  /** `rateLimiter`: shared with other requests of the same command; default: its own. */
  constructor(config: Config, ctx: Context, stop: AbortSignal, rateLimiter?: RateLimiter) {
    this.#config = config;
    this.#ctx = ctx;
    this.#stop = stop;
    this.#rateLimiter = rateLimiter ?? new RateLimiter(config.source.requestsPerSecond, () => performance.now());
  }

  /** Why a request failed, one printable line. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The first event above `after`; undefined if there is none now, or a request failed. */
  async first(after: Cursor): Promise<EventSummary | undefined> {
    const event = (await this.#page(after, 1))?.[0];
    return event && summary(event);
  }

  /** The event `id`, or the first after it if there is no such event. */
  async at(id: Cursor): Promise<EventSummary | undefined> {
    return this.first(id > 0n ? id - 1n : 0n);
  }

  /** The greatest id of the log, `after` if nothing is above it; undefined if a request failed. */
  async newest(after: Cursor): Promise<Cursor | undefined> {
    for (let newest = after; ; ) {
      const events = await this.#page(newest, Number(maxPageSize));
      if (events === undefined) return undefined;
      const last = events.at(-1);
      if (last === undefined) return newest;
      newest = last.id;
    }
  }

  /** How many events are above `after` up to `until`: counted if one page can hold them. */
  async between(after: Cursor, until: Cursor): Promise<Between> {
    const ids = until > after ? until - after : 0n;
    if (ids === 0n || ids > maxPageSize) return { events: ids, exact: ids === 0n };
    const events = await this.#page(after, Number(ids));
    if (events === undefined) return { events: ids, exact: false };
    const last = events.at(-1)?.id ?? until;
    // A server that caps `count` does not return all of them.
    const isComplete = last >= until || events.length === 0 || (await this.#isEmpty(last, until));
    return isComplete
      ? { events: BigInt(events.filter(({ id }) => id <= until).length), exact: true }
      : { events: ids, exact: false };
  }

  /** The cursor that a first start would use now; undefined if a request failed. */
  async start(startAt: StartAt): Promise<Cursor | undefined> {
    const signals = { graceful: this.#stop, forced: this.#stop };
    const source: Source = {
      lastError: undefined,
      peek: (after) => this.#ask(after, 1),
      page: (after) => this.#ask(after, this.#config.source.pageSize),
    };
    const { settle } = this.#config.source;
    const position = await findPosition(source, startAt, settle, signals, this.#ctx.now);
    return position && (position.delivered.at(-1)?.[1] ?? position.after);
  }

  async #isEmpty(after: Cursor, until: Cursor): Promise<boolean> {
    const next = await this.#page(after, 1);
    return next !== undefined && (next[0]?.id ?? until + 1n) > until;
  }

  async #page(after: Cursor, pageSize: number): Promise<readonly AuditEvent[] | undefined> {
    return (await this.#ask(after, pageSize))?.events;
  }

  async #ask(after: Cursor, pageSize: number): Promise<Page | undefined> {
    if (this.#problem !== undefined) return undefined;
    try {
      this.#http ??= openHttp(this.#config, this.#ctx, Math.min(maxTimeoutMs, this.#config.source.timeout));
      const parts = { http: this.#http, rateLimiter: this.#rateLimiter, emit: () => {}, pageSize, readBefore: false };
      const signals = { graceful: this.#stop, forced: this.#stop };
      const answer = await fetchOnce(openApi(this.#config, this.#ctx, parts), after, signals);
      if (answer?.kind === 'page') return answer.page;
      this.#problem = answer?.detail ?? 'interrupted';
    } catch (error) {
      // The command was interrupted, or a file of the tls block can't be read.
      if (!this.#stop.aborted && !('code' in (error as Error))) throw error;
      this.#problem = printable((error as Error).message);
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#http?.[Symbol.dispose]();
  }
}

function summary(event: AuditEvent): EventSummary {
  const { createdAt } = eventValue(event);
  return {
    id: event.id,
    createdAt: typeof createdAt === 'string' ? printable(createdAt, 40) : '',
    action: printable(event.action, 60),
  };
}
