import type { AuditEvent, Cursor } from '../event/event.ts';
import { gunzipper } from '../lib/gzip.ts';
import type { HttpAnswer, HttpClient, HttpFailure } from '../lib/http.ts';
import { httpDateMs } from '../lib/http-answer.ts';
import type { Moment } from '../lib/moment.ts';
import { type Secret, type SecretSource, withoutSecret } from '../lib/secret.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { largestBodyBytes, PageSize } from './page-size.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { SeenIds } from './seen-ids.ts';
import type { Page } from './source.ts';
import { type SplitPage, splitPage } from './split-page.ts';
import { type Refused, verdictOf } from './verdicts.ts';

export interface AuditApiOptions {
  /** Origin of the tenant. */
  readonly origin: string;
  readonly apiKey: SecretSource;
  readonly authScheme: 'Bearer' | 'ApiKey';
  readonly pageSize: number;
  readonly http: HttpClient;
  readonly rateLimiter: RateLimiter;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A page of this origin was read in an earlier start. */
  readonly readBefore: boolean;
  /** Called with the events of a page that were never read before, and how events of that page differ from the documentation. */
  readonly onNewEvents?: (events: readonly AuditEvent[], differences: SplitPage['differences']) => void;
  /** The ids that a source before this one has read; default none. */
  readonly seenIds?: SeenIds | undefined;
}

export interface Fetched {
  readonly kind: 'page';
  readonly page: Page;
}

/** One request of a page. */
interface Request {
  readonly after: Cursor;
  readonly count: number;
  readonly key: Secret;
  /** Path and query. */
  readonly target: string;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
}

/** `GET /api/public/v0/audit-logs` (contract section 1), without retries of what is passing. */
export class AuditApi {
  readonly #options: AuditApiOptions;
  readonly #size: PageSize;
  readonly #gunzip = gunzipper(largestBodyBytes);
  readonly #seen: SeenIds;
  /** Halved counts for cursors whose page was too large; light pages elsewhere must not raise them. */
  readonly #reducedCounts = new Map<Cursor, number>();
  #everRead: boolean;

  constructor(options: AuditApiOptions) {
    this.#options = options;
    this.#everRead = options.readBefore;
    this.#seen = options.seenIds ?? new SeenIds();
    this.#size = new PageSize(options.pageSize, options.emit);
  }

  get apiKey(): SecretSource {
    return this.#options.apiKey;
  }

  /**
   * One request, for `maxCount` events if that is given; one more if a refusal finds a new key in its file, or with half
   * the count if the page is too large. Undefined if `signals.graceful` fires before the request's turn.
   * @throws the reason of `signals.forced`
   */
  async fetch(
    after: Cursor,
    signals: ShutdownSignals,
    maxCount?: number,
  ): Promise<Fetched | Retry | Stop | Refused | undefined> {
    const { apiKey } = this.#options;
    for (;;) {
      const reduced = this.#reducedCounts.get(after) ?? Number.POSITIVE_INFINITY;
      const count = Math.min(maxCount ?? this.#size.next, reduced);
      const key = apiKey.current;
      const verdict = await this.#request(after, signals, count, key);
      if (verdict?.kind === 'retry' && verdict.reason === 'too_large' && count > 1) continue;
      if (verdict?.kind !== 'stop' || verdict.reason !== 'auth') return verdict;
      // The key may have been rotated meanwhile; another request may have found the new one already.
      if (apiKey.current.reveal() === key.reveal() && !apiKey.refresh()) return verdict;
    }
  }

  async #request(
    after: Cursor,
    signals: ShutdownSignals,
    count: number,
    key: Secret,
  ): Promise<Fetched | Retry | Stop | Refused | undefined> {
    const { origin, authScheme, http, rateLimiter, emit } = this.#options;
    const onSent = await rateLimiter.acquire(signals);
    if (onSent === undefined) return undefined;
    const target = `/api/public/v0/audit-logs?after=${after}&count=${count}`;
    const request: Request = { after, count, key, target, startedMs: performance.now() };
    emit({ event: 'source.request', after });
    const headers = {
      authorization: `${authScheme} ${key.reveal()}`,
      accept: 'application/json',
      'accept-encoding': 'gzip',
    };
    const outcome = await http.request({ method: 'GET', url: origin + target, headers }, signals.forced);
    onSent(outcome.kind === 'answer' ? request.startedMs + outcome.sentMs : undefined);
    const status = outcome.kind === 'answer' ? outcome.status : outcome.reason === 'proxy' ? 'network' : outcome.reason;
    emit({ event: 'source.response', after, status, elapsedMs: outcome.elapsedMs });
    return outcome.kind === 'answer' ? this.#answered(request, outcome) : this.#failed(request, outcome);
  }

  async #answered(request: Request, answer: HttpAnswer): Promise<Fetched | Retry | Stop | Refused> {
    const { rateLimiter, now } = this.#options;
    const { status, headers } = answer;
    const body = await this.#decompressed(request, answer);
    if (!Buffer.isBuffer(body) && status === 200) return body;
    // A refusal is one, whether its text can be decompressed or not.
    const text = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const verdict = verdictOf(
      { status, headers, body: status === 200 ? text : withoutSecret(request.key, text), requested: request.target },
      { everRead: this.#everRead, nowMs: now() },
    );
    if (verdict.kind === 'retry' && verdict.reason === 'throttled') rateLimiter.pause(verdict.afterMs ?? 1000);
    return verdict.kind === 'page' ? this.#read(request, answer, text) : verdict;
  }

  #read(request: Request, answer: HttpAnswer, body: Buffer): Fetched | Retry {
    const { emit, now, onNewEvents } = this.#options;
    const { after, count } = request;
    const split = splitPage(body, now());
    if (split.kind === 'unreadable') {
      emit({ event: 'source.unreadable', after, detail: split.detail });
      return { kind: 'retry', reason: 'malformed', detail: `the page after ${after} is unreadable: ${split.detail}` };
    }
    this.#everRead = true;
    this.#reducedCounts.delete(after);
    this.#size.received(split.events.length, body.length, count);
    const first = split.events.findIndex((event) => event.id > after);
    const events = first === -1 ? [] : first === 0 ? split.events : split.events.slice(first);
    const greatest = events.at(-1)?.id;
    if (greatest !== undefined && split.answeredAfter !== undefined && split.answeredAfter !== String(greatest))
      emit({ event: 'source.cursor_mismatch', after, answered: split.answeredAfter, greatest });
    const { asked, answered, serverAheadMs } = momentsOf(request, answer, now() - performance.now());
    const { newEvents, delaysMs } = this.#seen.take(after, events, asked, answered);
    emit({
      event: 'source.page',
      after,
      events: events.length,
      newEvents: newEvents.length,
      bytes: body.length,
      ...(serverAheadMs !== undefined && { serverAheadMs }),
    });
    if (newEvents.length > 0) onNewEvents?.(newEvents, split.differences);
    if (delaysMs.length > 0) emit({ event: 'source.visible', delaysMs });
    return { kind: 'page', page: { after, events, asked, answered } };
  }

  #failed(request: Request, { reason, code, detail }: HttpFailure): Retry {
    switch (reason) {
      case 'too_large':
        return this.#tooLarge(request);
      case 'timeout':
        this.#halve(request, 'the page was not complete within the time-out');
        return { kind: 'retry', reason, detail };
      case 'proxy':
        return {
          kind: 'retry',
          reason: 'network',
          detail: `the proxy refused the connection (not QA Sphere, and not because of the key): ${detail}`,
        };
      default:
        return { kind: 'retry', reason, detail: `${detail} (${code})` };
    }
  }

  #halve({ after, count }: Request, why: string): void {
    this.#reducedCounts.set(after, Math.max(1, Math.floor(count / 2)));
    this.#size.halve(count, why);
  }

  #tooLarge(request: Request): Retry {
    const { after, count } = request;
    if (count > 1) {
      this.#halve(request, `the page is larger than ${largestBodyBytes} bytes`);
      const detail = 'the page is too large: asking for half as many events';
      return { kind: 'retry', reason: 'too_large', detail, afterMs: 0 };
    }
    const detail = `the event after ${after} is larger than ${largestBodyBytes} bytes; "cursor set" passes it`;
    this.#options.emit({ event: 'source.unreadable', after, detail });
    return { kind: 'retry', reason: 'too_large', detail };
  }

  async #decompressed(request: Request, answer: HttpAnswer): Promise<Buffer | Retry> {
    const encoding = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (encoding === 'identity' || encoding === '') return answer.body;
    if (encoding !== 'gzip' && encoding !== 'x-gzip')
      return { kind: 'retry', reason: 'malformed', detail: 'the answer has a content encoding that was not asked for' };
    try {
      return await this.#gunzip(answer.body);
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_BUFFER_TOO_LARGE') return this.#tooLarge(request);
      if (!/^Z_/.test(code)) throw error;
      return { kind: 'retry', reason: 'network', detail: `the answer's gzip is broken (${message})` };
    }
  }
}

interface Moments {
  readonly asked: Moment;
  readonly answered: Moment;
  /** The server's clock minus the local one, to within half a second and half the round trip; undefined without Date. */
  readonly serverAheadMs: number | undefined;
}

/**
 * When the server looked for the events, by its own clock: not before Date minus the time the answer took, and not after
 * the end of Date's second (a Date header has whole seconds, RFC 9110 section 5.6.7). `epochMs` is the local time at which
 * the monotonic clock was 0.
 */
function momentsOf({ startedMs }: Request, { headers, headersMs }: HttpAnswer, epochMs: number): Moments {
  const dateMs = httpDateMs(headers.date);
  const answeredMs = startedMs + headersMs;
  return {
    asked: { monotonicMs: startedMs, serverMs: dateMs === undefined ? undefined : dateMs - headersMs },
    answered: { monotonicMs: answeredMs, serverMs: dateMs === undefined ? undefined : dateMs + 999 },
    serverAheadMs: dateMs === undefined ? undefined : dateMs + 500 - (epochMs + answeredMs),
  };
}
