import { type BodyTransform, gzipper } from '../lib/gzip.ts';
import type { HttpAnswer, HttpClient } from '../lib/http.ts';
import { Secret, withoutSecret } from '../lib/secret.ts';
import { accepted, type Verdict } from '../lib/verdict.ts';
import { type BatchRequest, failureVerdict, type HttpVerdict, statusVerdict } from './http-batch.ts';
import { type ConnectionOptions, sinkHttpClient } from './http-client.ts';
import type { Credentials } from './http-options.ts';
import type { SinkDeps } from './sink.ts';

/** As of the HEC sink: level 1 leaves a seventh of audit events for half the time of level 6. */
const gzipLevel = 1;
/** The most of an answer that is read, bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;
/**
 * Statuses about the content of a request. To a request without records they say that it is empty: the destination has
 * read it, so address and credentials are right.
 */
const emptyRequestRefusals: readonly number[] = [400, 411, 413, 422];

export interface HttpSenderOptions extends ConnectionOptions {
  readonly compression: 'gzip' | 'none';
  /** Default 64 KiB; a longer answer is cut off. */
  readonly maxAnswerBytes?: number;
}

export interface HttpPost {
  readonly url: string;
  /** The URL as it may be shown, if a part of it is secret. */
  readonly shownUrl?: string;
  readonly contentType: string;
  /** Before compression. Empty: nothing is compressed. */
  readonly body: Buffer;
  /** Records in the body. */
  readonly events: number;
  readonly credentials: Credentials;
  /** Headers that depend on the body as it is sent. */
  readonly headers?: (sent: Buffer) => Readonly<Record<string, string>>;
  /** What the destination says in its own words; undefined if it is not its own. */
  readonly interpret?: (answer: HttpAnswer, request: BatchRequest) => Verdict | HttpVerdict | undefined;
}

export interface HttpOutcome extends HttpVerdict {
  /** Undefined if no whole answer came. */
  readonly answer: HttpAnswer | undefined;
}

/** The HTTP requests of one sink: compression, credentials, and the verdict on each answer. */
export class HttpSender implements Disposable {
  readonly #http: HttpClient;
  readonly #gzip: BodyTransform | undefined;
  readonly #now: () => number;

  /** @throws the error of the file system or OpenSSL for a file of the tls block */
  constructor(options: HttpSenderOptions, deps: SinkDeps) {
    this.#http = sinkHttpClient(options, deps, options.maxAnswerBytes ?? MAX_ANSWER_BYTES);
    this.#gzip = options.compression === 'gzip' ? gzipper(gzipLevel) : undefined;
    this.#now = deps.now;
  }

  /** Posts one body. If the credentials are refused and a secret's file has a new value, it is posted once more. */
  async post(post: HttpPost, forced: AbortSignal): Promise<HttpOutcome> {
    const gzip = post.body.length > 0 ? this.#gzip : undefined;
    const sent = gzip === undefined ? post.body : await gzip(post.body);
    const first = await this.#once(post, sent, gzip !== undefined, forced);
    const status = first.answer?.status;
    const isRefused = status === 401 || status === 403;
    if (!isRefused || !(await hasNew(post.credentials, status, forced))) return first;
    return this.#once(post, sent, gzip !== undefined, forced);
  }

  /** Posts a body without records: accepted if nothing but its emptiness is refused. */
  async postEmpty(post: HttpPost, forced: AbortSignal): Promise<Verdict> {
    const { verdict, answer } = await this.post({ ...post, events: 0 }, forced);
    return answer !== undefined && emptyRequestRefusals.includes(answer.status) ? accepted : verdict;
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #once(post: HttpPost, sent: Buffer, isCompressed: boolean, forced: AbortSignal): Promise<HttpOutcome> {
    const { url, events, credentials } = post;
    const identity = credentials.headers();
    // An answer may quote a secret, the header that was made from it, or a header without its scheme; and the URL.
    const masked = [
      ...credentials.secrets.map(({ current }) => current),
      ...Object.values(identity).flatMap((value) => [value, ...value.split(' ')].map((part) => new Secret(part))),
      ...secretParts(post),
    ];
    const headers = {
      'content-type': post.contentType,
      'accept-encoding': 'identity',
      ...(isCompressed && { 'content-encoding': 'gzip' }),
      ...post.headers?.(sent),
      ...identity,
    };
    const received = await this.#http.request({ method: 'POST', url, headers, body: sent }, forced);
    if (received.kind === 'failure')
      return { verdict: failureVerdict(received, { events, bytes: sent.length }), answer: undefined };
    const body = masked.reduce((text, secret) => withoutSecret(secret, text), received.body);
    const answer: HttpAnswer = { ...received, body };
    const shown = post.shownUrl ?? withoutQuery(url);
    const request: BatchRequest = { events, bytes: sent.length, url: shown, nowMs: this.#now() };
    const own = post.interpret?.(answer, request);
    if (own !== undefined) return { ...('kind' in own ? { verdict: own } : own), answer };
    const quotable = events === 0 ? answer : { ...answer, body: withoutRecords(answer.body, post.body) };
    return { ...statusVerdict(quotable, request), answer };
  }
}

async function hasNew(credentials: Credentials, status: number, forced: AbortSignal): Promise<boolean> {
  if (credentials.renew !== undefined) return credentials.renew(status, forced);
  // Every file is read again: `some` would stop at the first new value.
  return credentials.secrets.filter((secret) => secret.refresh()).length > 0;
}

/** The beginning of an answer, without the words that are in the records too: a verdict quotes it, and it is logged. */
function withoutRecords(answer: Buffer, records: Buffer): Buffer {
  const text = answer.subarray(0, 1024).toString('utf8');
  return Buffer.from(text.replace(/[\p{L}\p{N}.@_-]{3,}/gu, (word) => (records.includes(word) ? '…' : word)));
}

/** What must not be shown of a URL: its query, and its path if the URL has another form to show. */
function secretParts({ url, shownUrl }: HttpPost): Secret[] {
  const { pathname, search } = new URL(url);
  const path = shownUrl === undefined || shownUrl === withoutQuery(url) ? [] : [pathname, ...pathname.split('/')];
  return [search, search.slice(1), ...path].map((part) => new Secret(part));
}

/** Origin and path. */
export function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
