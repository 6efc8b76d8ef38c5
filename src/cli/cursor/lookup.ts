import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type AuditEvent, type Cursor, eventValue } from '../../event/event.ts';
import type { HttpClient } from '../../lib/http.ts';
import { printable } from '../../lib/printable.ts';
import { findTime, type StartAt, serverTime } from '../../pipeline/start-position.ts';
import { RateLimiter } from '../../source/rate-limiter.ts';
import type { Page, Source } from '../../source/source.ts';
import { fetchOnce } from '../fetch-once.ts';

/** An event as far as a person needs it to know where in time a cursor stands. */
export interface Seen {
  readonly id: Cursor;
  /** As the API wrote it, fit to be shown; '' where it sent none. */
  readonly createdAt: string;
  readonly action: string;
}

/** How many events lie in a range of ids: counted, or at most so many as there are ids. */
export interface Between {
  readonly events: bigint;
  readonly exact: boolean;
}

/** Longest wait for one answer, milliseconds: a person is waiting. */
const patienceMs = 10_000;
/** Page size of the API (contract section 1): so many are counted in one request. */
const largestPage = 1000n;

/**
 * Asks the API what stands at a cursor. Where it can't be asked `trouble` says why, and nothing more is asked.
 * No method throws because of the API.
 */
export class Lookup implements Disposable {
  readonly #config: Config;
  readonly #ctx: Context;
  readonly #stop: AbortSignal;
  readonly #pace: RateLimiter;
  #http: HttpClient | undefined;
  #trouble: string | undefined;

  /** `pace` is shared with whoever asks beside it; default: one of its own. */
  constructor(config: Config, ctx: Context, stop: AbortSignal, pace?: RateLimiter) {
    this.#config = config;
    this.#ctx = ctx;
    this.#stop = stop;
    this.#pace = pace ?? new RateLimiter(config.source.requestsPerSecond, () => performance.now());
  }

  /** Why the API could not be asked, one printable line. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** The first event above `after`, as of now; undefined where there is none, or the API can't be asked. */
  async first(after: Cursor): Promise<Seen | undefined> {
    const event = (await this.#page(after, 1))?.[0];
    return event && seen(event);
  }

  /** The event `id`, or where there is none the first after it. */
  async at(id: Cursor): Promise<Seen | undefined> {
    return this.first(id > 0n ? id - 1n : 0n);
  }

  /** How many events lie above `after` up to `until`: counted where one page can hold them. */
  async between(after: Cursor, until: Cursor): Promise<Between> {
    const ids = until > after ? until - after : 0n;
    if (ids === 0n || ids > largestPage) return { events: ids, exact: ids === 0n };
    const events = await this.#page(after, Number(ids));
    if (events === undefined) return { events: ids, exact: false };
    const last = events.at(-1)?.id ?? until;
    // A server that caps the count does not show all of them.
    const whole = last >= until || events.length === 0 || (await this.#isEmpty(last, until));
    return whole
      ? { events: BigInt(events.filter(({ id }) => id <= until).length), exact: true }
      : { events: ids, exact: false };
  }

  /** The cursor that a first start would begin behind, were it now; undefined where the API can't be asked. */
  async start(startAt: StartAt): Promise<Cursor | undefined> {
    if (startAt.kind === 'beginning') return 0n;
    if (startAt.kind === 'id') return startAt.id > 0n ? startAt.id - 1n : 0n;
    const signals = { graceful: this.#stop, forced: this.#stop };
    const source: Source = {
      trouble: undefined,
      peek: (after) => this.#ask(after, 1),
      page: (after) => this.#ask(after, this.#config.source.pageSize),
    };
    const timeMs = startAt.kind === 'time' ? startAt.timeMs : await serverTime(source, signals, this.#ctx.now);
    return timeMs === undefined ? undefined : findTime(source, timeMs, this.#config.source.settle, signals);
  }

  async #isEmpty(after: Cursor, until: Cursor): Promise<boolean> {
    const next = await this.#page(after, 1);
    return next !== undefined && (next[0]?.id ?? until + 1n) > until;
  }

  async #page(after: Cursor, pageSize: number): Promise<readonly AuditEvent[] | undefined> {
    return (await this.#ask(after, pageSize))?.events;
  }

  async #ask(after: Cursor, pageSize: number): Promise<Page | undefined> {
    if (this.#trouble !== undefined) return undefined;
    try {
      this.#http ??= openHttp(this.#config, this.#ctx, Math.min(patienceMs, this.#config.source.timeout));
      const parts = { http: this.#http, pace: this.#pace, emit: () => {}, pageSize, readBefore: false };
      const signals = { graceful: this.#stop, forced: this.#stop };
      const answer = await fetchOnce(openApi(this.#config, this.#ctx, parts), after, signals);
      if (answer?.kind === 'page') return answer.page;
      this.#trouble = answer?.detail ?? 'interrupted';
    } catch (error) {
      // The reason of the stop, or a file of the tls block that can't be read.
      this.#trouble = printable((error as Error).message);
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#http?.[Symbol.dispose]();
  }
}

function seen(event: AuditEvent): Seen {
  const { createdAt } = eventValue(event);
  return {
    id: event.id,
    createdAt: typeof createdAt === 'string' ? printable(createdAt, 40) : '',
    action: printable(event.action, 60),
  };
}
