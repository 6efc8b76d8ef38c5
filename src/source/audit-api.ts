import type { AuditEvent, Cursor } from '../event/event.ts';
import { gunzipper } from '../lib/gzip.ts';
import type { HttpAnswer, HttpClient, HttpFailure } from '../lib/http.ts';
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
import { judge, type Refused } from './verdicts.ts';

export interface AuditApiOptions {
  /** Origin of the tenant. */
  readonly origin: string;
  readonly apiKey: SecretSource;
  readonly authScheme: 'Bearer' | 'ApiKey';
  readonly pageSize: number;
  readonly http: HttpClient;
  readonly pace: RateLimiter;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A page of this origin was read in an earlier start. */
  readonly readBefore: boolean;
  /** Called with the events of a page that were never read before, and how events of that page differ from the documentation. */
  readonly onNewEvents?: (events: readonly AuditEvent[], differences: SplitPage['differences']) => void;
  /** What a source before this one has read; default nothing. */
  readonly novelty?: SeenIds | undefined;
}

export interface Fetched {
  readonly kind: 'page';
  readonly page: Page;
}

/** `GET /api/public/v0/audit-logs`, once. */
export class AuditApi {
  readonly #options: AuditApiOptions;
  readonly #size: PageSize;
  readonly #gunzip = gunzipper(largestBodyBytes);
  readonly #novelty: SeenIds;
  /** Counts that were too much behind a cursor, halved; light pages elsewhere must not raise them. */
  readonly #bounds = new Map<Cursor, number>();
  #everRead: boolean;

  constructor(options: AuditApiOptions) {
    this.#options = options;
    this.#everRead = options.readBefore;
    this.#novelty = options.novelty ?? new SeenIds();
    this.#size = new PageSize(options.pageSize, options.emit);
  }

  /**
   * One request, for `most` events where that is given; another where a refusal finds a new key in its file, or with
   * half the count where the page is too large.
   * Undefined where `signals.graceful` fires before it is this request's turn.
   * @throws the reason of `signals.forced`
   */
  async fetch(
    after: Cursor,
    signals: ShutdownSignals,
    most?: number,
  ): Promise<Fetched | Retry | Stop | Refused | undefined> {
    const { apiKey } = this.#options;
    for (;;) {
      const count = Math.min(most ?? this.#size.next, this.#bounds.get(after) ?? Number.POSITIVE_INFINITY);
      const key = apiKey.current;
      const verdict = await this.#once(after, signals, count, key);
      if (verdict?.kind === 'retry' && verdict.reason === 'too_large' && count > 1) continue;
      if (verdict?.kind !== 'stop' || verdict.reason !== 'auth') return verdict;
      // A key that was rotated meanwhile is no misconfigured key; another request may have found the new one already.
      if (apiKey.current.reveal() === key.reveal() && !apiKey.refresh()) return verdict;
    }
  }

  async #once(
    after: Cursor,
    signals: ShutdownSignals,
    count: number,
    key: Secret,
  ): Promise<Fetched | Retry | Stop | Refused | undefined> {
    const { origin, authScheme, http, pace, emit, now } = this.#options;
    const asked = `/api/public/v0/audit-logs?after=${after}&count=${count}`;
    const answered = await pace.turn(signals);
    if (answered === undefined) return undefined;
    emit({ event: 'source.request', after });
    const startedMs = performance.now();
    const outcome = await http
      .request(
        {
          method: 'GET',
          url: origin + asked,
          headers: {
            authorization: `${authScheme} ${key.reveal()}`,
            accept: 'application/json',
            'accept-encoding': 'gzip',
          },
        },
        signals.forced,
      )
      .then((outcome) => {
        answered(outcome.kind === 'answer' ? startedMs + outcome.sentMs : undefined);
        return outcome;
      });
    emit({
      event: 'source.response',
      after,
      status: outcome.kind === 'answer' ? outcome.status : outcome.reason === 'proxy' ? 'network' : outcome.reason,
      elapsedMs: outcome.elapsedMs,
    });
    if (outcome.kind === 'failure') return this.#failed(outcome, after, count);
    const { status, headers } = outcome;
    const body = await this.#decompressed(outcome, after, count);
    if (!Buffer.isBuffer(body) && status === 200) return body;
    // A refusal is one, whether its words can be read or not.
    const said = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const judgement = judge(
      { status, headers, body: status === 200 ? said : withoutSecret(key, said), asked },
      { everRead: this.#everRead, nowMs: now() },
    );
    if (judgement.kind === 'retry' && judgement.reason === 'throttled') pace.hold(judgement.afterMs ?? 1000);
    if (judgement.kind !== 'page') return judgement;
    return this.#read(said, after, count, key, moments(outcome, startedMs, now() - performance.now()));
  }

  #read(
    body: Buffer,
    after: Cursor,
    count: number,
    key: Secret,
    { asked, answered, serverAheadMs }: Moments,
  ): Fetched | Retry {
    const { emit, now, onNewEvents } = this.#options;
    const cut = splitPage(body, now());
    if (cut.kind === 'unreadable') {
      const again = splitPage(withoutSecret(key, body), now());
      const detail = again.kind === 'unreadable' ? again.detail : 'it quotes the key';
      emit({ event: 'source.unreadable', after, detail });
      return { kind: 'retry', reason: 'malformed', detail: `the page after ${after} can't be read: ${detail}` };
    }
    this.#everRead = true;
    this.#bounds.delete(after);
    this.#size.took(cut.events.length, body.length, count);
    const first = cut.events.findIndex((event) => event.id > after);
    const events = first === -1 ? [] : first === 0 ? cut.events : cut.events.slice(first);
    const greatest = events.at(-1)?.id;
    if (greatest !== undefined && cut.answeredAfter !== undefined && cut.answeredAfter !== String(greatest))
      emit({ event: 'source.cursor_mismatch', after, answered: cut.answeredAfter, greatest });
    const { fresh, delaysMs } = this.#novelty.take(after, events, asked, answered);
    emit({
      event: 'source.page',
      after,
      events: events.length,
      newEvents: fresh.length,
      bytes: body.length,
      ...(serverAheadMs !== undefined && { serverAheadMs }),
    });
    if (fresh.length > 0) onNewEvents?.(fresh, cut.differences);
    if (delaysMs.length > 0) emit({ event: 'source.visible', delaysMs });
    return { kind: 'page', page: { after, events, asked, answered } };
  }

  #failed(failure: HttpFailure, after: Cursor, count: number): Retry {
    if (failure.reason === 'too_large') return this.#tooLarge(after, count);
    if (failure.reason === 'timeout') {
      this.#halve(after, count, 'the page was not whole within the timeout');
      return { kind: 'retry', reason: 'timeout', detail: failure.detail };
    }
    if (failure.reason === 'proxy')
      return {
        kind: 'retry',
        reason: 'network',
        detail: `the proxy itself refused the connection (not QA Sphere, and not the key): ${failure.detail}`,
      };
    return { kind: 'retry', reason: 'network', detail: `${failure.detail} (${failure.code})` };
  }

  #halve(after: Cursor, count: number, why: string): void {
    this.#bounds.set(after, Math.max(1, Math.floor(count / 2)));
    this.#size.halve(count, why);
  }

  #tooLarge(after: Cursor, count: number): Retry {
    if (count > 1) {
      this.#halve(after, count, `the page is larger than ${largestBodyBytes} bytes`);
      return {
        kind: 'retry',
        reason: 'too_large',
        detail: 'the page is too large: asking for half as many events',
        afterMs: 0,
      };
    }
    const detail = `the event after ${after} is larger than ${largestBodyBytes} bytes; "cursor set" passes it`;
    this.#options.emit({ event: 'source.unreadable', after, detail });
    return { kind: 'retry', reason: 'too_large', detail };
  }

  async #decompressed(answer: HttpAnswer, after: Cursor, count: number): Promise<Buffer | Retry> {
    const encoding = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (encoding === 'identity' || encoding === '') return answer.body;
    if (encoding !== 'gzip' && encoding !== 'x-gzip')
      return { kind: 'retry', reason: 'malformed', detail: 'the answer has a content encoding that was not asked for' };
    try {
      return await this.#gunzip(answer.body);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return this.#tooLarge(after, count);
      return { kind: 'retry', reason: 'network', detail: `the answer's gzip is broken (${(error as Error).message})` };
    }
  }
}

interface Moments {
  readonly asked: Moment;
  readonly answered: Moment;
  readonly serverAheadMs: number | undefined;
}

/**
 * When the server looked for the events, by its own clock: not before Date less the time the answer took, and not
 * after the end of Date's second (a Date header has whole seconds, RFC 9110 section 5.6.7). `epochMs` is the local
 * time at which the monotonic clock was 0.
 */
function moments(answer: HttpAnswer, startedMs: number, epochMs: number): Moments {
  const date = Date.parse(answer.headers.date ?? '');
  const known = !Number.isNaN(date);
  return {
    asked: { monotonicMs: startedMs, serverMs: known ? date - answer.headersMs : undefined },
    answered: { monotonicMs: startedMs + answer.headersMs, serverMs: known ? date + 999 : undefined },
    // To within half a second and half the round trip.
    serverAheadMs: known ? date + 500 - (epochMs + startedMs + answer.headersMs) : undefined,
  };
}
