import { createHash } from 'node:crypto';
import aws4 from 'aws4';
import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { type BodyTransform, gzipper } from '../../lib/gzip.ts';
import type { HttpClient } from '../../lib/http.ts';
import { withoutSecret } from '../../lib/secret.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { failureVerdict } from '../http-batch.ts';
import { sinkHttpClient } from '../http-client.ts';
import { batchLines, statusLine } from '../lines.ts';
import type { AnnouncedRange, BatchLimits, Sink, SinkDeps } from '../sink.ts';
import { awsDomain, CredentialSource } from './credentials.ts';
import { objectKey, prefixOf } from './key.ts';
import type { S3Options } from './options.ts';
import { putVerdict } from './verdicts.ts';

/** Objects are stored for years and read rarely: zlib's default. */
const gzipLevel = 6;
const MAX_ANSWER_BYTES = 64 * 1024;
/** So many uploads in a row ended without an answer: they can't be finished in time, so smaller ones are tried. */
const timeoutsToNarrow = 3;
const dayMs = 24 * 3_600_000;
/** The largest `batch.maxEvents`. */
const maxAnnounced = 10_000n;

interface PutRequest {
  readonly key: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Writes each batch as one object. Its key contains the ids and a digest of the records, and it is written only if there is
 * none of that name (`If-None-Match`), so the same batch is stored once, however often it is sent. For the same batch to come
 * again after a crash, its ids are announced, which puts them into the checkpoint before the object is written.
 *
 * A time-out does not tell whether the object is stored. So the same object is written again, which is answered with 412 if it is
 * there, and only after `timeoutsToNarrow` time-outs in a row the batch is made smaller.
 */
export class S3Sink implements Sink {
  readonly window = 1;
  readonly limits: BatchLimits;
  readonly announced: readonly AnnouncedRange[];
  readonly #options: S3Options;
  readonly #deps: SinkDeps;
  readonly #http: HttpClient;
  readonly #credentials: CredentialSource;
  readonly #gzip: BodyTransform = gzipper(gzipLevel);
  /** The batch that is about to be sent, or that was not confirmed yet. */
  #pending: readonly AnnouncedRange[];
  /** Uploads in a row that ended without an answer on an established connection. */
  #timeouts = 0;

  constructor(options: S3Options, deps: SinkDeps) {
    const { maxEvents, maxBytes, maxAge } = options.batch;
    this.#options = options;
    this.#deps = deps;
    this.limits = { maxEvents, maxBytes, maxAgeMs: maxAge, overheadBytes: 1 };
    this.announced = rangesIn(deps.pendingAcks);
    this.#pending = this.announced;
    this.#credentials = new CredentialSource(options, deps);
    this.#http = sinkHttpClient(options, deps, MAX_ANSWER_BYTES);
  }

  announce({ records }: Batch): void {
    const ranges: AnnouncedRange[] = [];
    for (const { event } of records) {
      const { id, receivedAtMs } = event;
      const last = ranges.at(-1);
      const follows = last !== undefined && id === last.to + 1n && receivedAtMs === last.receivedAtMs;
      if (follows) ranges[ranges.length - 1] = { ...last, to: id };
      else ranges.push({ from: id, to: id, receivedAtMs });
    }
    this.#pending = ranges;
  }

  /** Ids of the announced batch as strings, and when they were received: `[["1","500",1772359200000]]`. */
  pendingAcks(): unknown {
    const written = this.#pending.map(({ from, to, receivedAtMs }) => [String(from), String(to), receivedAtMs]);
    return written.length === 0 ? undefined : written;
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    forced.throwIfAborted();
    const lines = batchLines(batch, false);
    const key = objectKey(this.#options.prefix, this.#deps.tenant, batch, lines);
    const put = { key, body: await this.#gzip(lines), contentType: 'application/gzip', headers: this.#lock() };
    const verdict = await this.#put(put, forced);
    if (verdict.kind === 'accepted') this.#pending = [];
    if (verdict.kind !== 'retry' || this.#timeouts < timeoutsToNarrow || batch.records.length === 1) return verdict;
    this.#timeouts = 0;
    return { ...verdict, narrow: true };
  }

  /** A status record is an object of its own, below `status/`. */
  async sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict> {
    const body = statusLine(record, false);
    const time = new Date(record.atMs).toISOString().replaceAll(':', '');
    const digest = createHash('sha256').update(body).digest('hex').slice(0, 16);
    const key = `${this.#prefixAt(record.atMs)}status/${time}-${digest}.ndjson`;
    return this.#put({ key, body, contentType: 'application/x-ndjson', headers: this.#lock() }, forced);
  }

  /** An object whose checksum is wrong is refused (BadDigest) after the credentials and the bucket were found good. */
  async probe(forced: AbortSignal): Promise<Verdict> {
    const key = `${this.#prefixAt(this.#deps.now())}check`;
    const headers = { 'content-md5': createHash('md5').update('another body').digest('base64') };
    return this.#put({ key, body: Buffer.from('check'), contentType: 'text/plain', headers }, forced, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http[Symbol.dispose]();
    this.#credentials[Symbol.dispose]();
  }

  #prefixAt(ms: number): string {
    return prefixOf(this.#options.prefix, this.#deps.tenant, ms);
  }

  /** Amazon S3, "Using Object Lock": the upload needs a checksum, which `#once` adds. */
  #lock(): Readonly<Record<string, string>> {
    const { objectLock } = this.#options;
    if (objectLock === undefined) return {};
    return {
      'x-amz-object-lock-mode': objectLock.mode,
      'x-amz-object-lock-retain-until-date': new Date(this.#deps.now() + objectLock.days * dayMs).toISOString(),
    };
  }

  async #put(put: PutRequest, forced: AbortSignal, isProbe = false): Promise<Verdict> {
    const first = await this.#once(put, forced, isProbe);
    const isRefused = first.kind === 'stop' && first.reason === 'auth';
    return isRefused && this.#credentials.renew() ? this.#once(put, forced, isProbe) : first;
  }

  async #once(
    { key, body, contentType, headers }: PutRequest,
    forced: AbortSignal,
    isProbe: boolean,
  ): Promise<Verdict> {
    const credentials = await this.#credentials.get(forced);
    if ('kind' in credentials) return credentials;
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const url = this.#urlOf(key);
    const { host, pathname, origin } = url;
    const signed = aws4.sign(
      {
        ...{ method: 'PUT', host, path: pathname, service: 's3', region: this.#options.region, body },
        headers: {
          'content-type': contentType,
          'content-length': String(body.length),
          'content-md5': createHash('md5').update(body).digest('base64'),
          'if-none-match': '*',
          'x-amz-date': new Date(this.#deps.now()).toISOString().replace(/[-:]|\.\d+/g, ''),
          'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
          ...headers,
        },
      },
      {
        accessKeyId,
        secretAccessKey: secretAccessKey.reveal(),
        ...(sessionToken !== undefined && { sessionToken: sessionToken.reveal() }),
      },
    );
    const sent = Object.fromEntries(Object.entries(signed.headers ?? {}).map(([name, value]) => [name, String(value)]));
    const received = await this.#http.request({ method: 'PUT', url: url.href, headers: sent, body }, forced);
    if (received.kind === 'failure') {
      if (received.connected) this.#timeouts++;
      return failureVerdict(received, { events: 0, bytes: body.length });
    }
    this.#timeouts = 0;
    const secrets = [secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken])];
    const text = secrets.reduce((answer, secret) => withoutSecret(secret, answer), received.body);
    const about = { bucket: this.#options.bucket, url: origin + pathname, nowMs: this.#deps.now() };
    return putVerdict({ ...received, body: text }, about, isProbe);
  }

  #urlOf(key: string): URL {
    const { bucket, region, endpoint, pathStyle } = this.#options;
    const url = new URL(endpoint ?? `https://s3.${region}.${awsDomain(region)}`);
    const path = key.split('/').map(encode).join('/');
    if (pathStyle) url.pathname = `/${bucket}/${path}`;
    else {
      url.host = `${bucket}.${url.host}`;
      url.pathname = `/${path}`;
    }
    return url;
  }
}

/** RFC 3986: everything but unreserved characters, as the signature has it. */
const encode = (part: string) =>
  encodeURIComponent(part).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** What an earlier process announced. What has another form comes from another kind of sink under the same name. */
function rangesIn(pending: unknown): AnnouncedRange[] {
  if (!Array.isArray(pending)) return [];
  const ranges = pending.flatMap((range): AnnouncedRange[] => {
    const [from, to, receivedAtMs] = Array.isArray(range) ? range : [];
    const isRange = [from, to].every((id) => typeof id === 'string' && /^\d{1,30}$/.test(id));
    return isRange && typeof receivedAtMs === 'number' ? [{ from: BigInt(from), to: BigInt(to), receivedAtMs }] : [];
  });
  const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1n, 0n);
  return count > maxAnnounced ? [] : ranges;
}
