import { createHash, createHmac } from 'node:crypto';
import type { Batch } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import type { HttpDestination } from '../http-batch-sink.ts';
import {
  allCredentials,
  basicCredentials,
  type Credentials,
  headerCredentials,
  noCredentials,
  secretHeader,
} from '../http-options.ts';
import { type HttpPost, withoutQuery } from '../http-sender.ts';
import { batchLines, jsonArray, statusLine } from '../lines.ts';
import type { BatchLimits, SinkDeps } from '../sink.ts';
import type { HttpSinkOptions } from './options.ts';
import { presets } from './presets.ts';

/** Any HTTP endpoint that takes JSON records, or lines of text if the format is not JSON. */
export class HttpEndpoint implements HttpDestination {
  readonly limits: BatchLimits;
  readonly #options: HttpSinkOptions;
  readonly #deps: SinkDeps;
  readonly #credentials: Credentials;

  constructor(options: HttpSinkOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#credentials = credentialsOf(options);
    // A comma or line feed for each record; the brackets of an array are within the first record's overhead.
    this.limits = { ...options.batch, overheadBytes: 2 };
  }

  post(batch: Batch): HttpPost {
    const { body, idempotencyHeader } = this.#options;
    const { format, tenant, name } = this.#deps;
    const bytes =
      body === 'ndjson'
        ? batchLines(batch, false)
        : jsonBody(
            batch.records.map(({ record }) => record),
            body,
            format.json,
          );
    const idempotency = idempotencyHeader !== '' && {
      [idempotencyHeader.toLowerCase()]: idempotencyKey(tenant, name, batch),
    };
    return this.#request(bytes, batch.records.length, format.json, idempotency || {});
  }

  postStatus(record: StatusRecord): HttpPost {
    const text = Buffer.from(statusRecordText(record));
    const { body } = this.#options;
    return this.#request(body === 'ndjson' ? statusLine(record, false) : jsonBody([text], body, true), 1, true, {});
  }

  postNothing(): HttpPost {
    const { body } = this.#options;
    return this.#request(Buffer.from(body === 'array' ? '[]' : ''), 0, this.#deps.format.json, {});
  }

  #request(body: Buffer, events: number, isJson: boolean, extra: Readonly<Record<string, string>>): HttpPost {
    const { url, signature, body: form } = this.#options;
    const json = form === 'ndjson' ? 'application/x-ndjson' : 'application/json';
    return {
      url,
      shownUrl: shownUrl(this.#options),
      contentType: isJson || form === 'array' ? json : 'text/plain; charset=utf-8',
      body,
      events,
      credentials: this.#credentials,
      headers: (sent) => ({
        ...extra,
        ...(signature?.key && {
          [signature.header.toLowerCase()]: `sha256=${createHmac('sha256', signature.key.current.reveal()).update(sent).digest('hex')}`,
        }),
      }),
    };
  }
}

/** Records in an array, or the one record itself. What is not JSON becomes a JSON string in an array. */
function jsonBody(records: readonly Buffer[], form: 'array' | 'single', isJson: boolean): Buffer {
  if (form === 'single') return Buffer.concat(records);
  return jsonArray(isJson ? records : records.map((record) => Buffer.from(JSON.stringify(record.toString('utf8')))));
}

/** The same for the same records of one tenant and sink, in every process; hex. */
function idempotencyKey(tenant: string, sink: string, { records }: Batch): string {
  const hash = createHash('sha256').update(`${tenant}\n${sink}\n`);
  for (const { event } of records) hash.update(`${event.id}\n`);
  return hash.digest('hex');
}

function credentialsOf({ headers, token, username, password, preset, signature }: HttpSinkOptions): Credentials {
  const keyHeader = preset && presets[preset].keyHeader;
  return allCredentials(
    headerCredentials(headers),
    token === undefined
      ? noCredentials
      : keyHeader === undefined
        ? secretHeader('authorization', token, 'Bearer ')
        : secretHeader(keyHeader, token),
    username === undefined || password === undefined ? noCredentials : basicCredentials(username, password),
    signature?.key === undefined ? noCredentials : { headers: () => ({}), secrets: [signature.key] },
  );
}

/** The URL without what may be secret: its query, and its path if the preset says so. */
export function shownUrl({ url, preset }: Pick<HttpSinkOptions, 'url' | 'preset'>): string {
  return preset !== undefined && presets[preset].isPathSecret ? `${new URL(url).origin}/…` : withoutQuery(url);
}
