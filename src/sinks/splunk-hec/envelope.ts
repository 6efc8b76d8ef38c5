import type { Batch, Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { BufferPool } from '../../lib/buffer-pool.ts';
import { gzipper } from '../../lib/gzip.ts';
import type { SplunkHecOptions } from './options.ts';

/** What is the same for every event. */
export type Metadata = Pick<SplunkHecOptions, 'source' | 'sourcetype' | 'index' | 'fields'> & { readonly host: string };

// Single bytes are assigned: a call of Buffer.write costs more than the rest of an envelope.
const closeBrace = 0x7d;
const lineFeed = 0x0a;
/** Bytes of `{"time":253402300799.999,` and `}\n`. */
const framingBytes = 27;
/**
 * Of audit events in envelopes (499 bytes an event, 900 KB a request, Node 26) level 1 leaves a seventh for 1.3 µs of CPU
 * an event; level 6, zlib's default, an eighth for 2.6 µs; level 9 takes 5.3 µs.
 */
const gzipLevel = 1;

/** The body of a request. */
export interface Body {
  readonly bytes: Buffer;
  /** Events without a readable time. */
  readonly untimed: number;
}

/** Makes batches into request bodies. */
export class BodyEncoder {
  readonly #envelopes: Envelopes;
  readonly #isCompressed: boolean;
  readonly #gzip = gzipper(gzipLevel);
  /** zlib has read its input when it is done, so one buffer serves every compressed batch. */
  readonly #pool = new BufferPool();

  constructor(envelopes: Envelopes, isCompressed: boolean) {
    this.#envelopes = envelopes;
    this.#isCompressed = isCompressed;
  }

  async encode(batch: Batch): Promise<Body> {
    if (!this.#isCompressed) return this.#envelopes.body(batch);
    let buffer: Buffer = Buffer.alloc(0);
    const { bytes, untimed } = this.#envelopes.body(batch, (length) => {
      buffer = this.#pool.take(length);
      return buffer;
    });
    const compressed = await this.#gzip(bytes);
    this.#pool.giveBack(buffer);
    return { bytes: compressed, untimed };
  }
}

/**
 * Wraps records for `/services/collector/event`: one envelope per line. `event` is the record's own bytes if they are JSON,
 * otherwise a JSON string. `time` is `createdAt` in seconds, a plain decimal with milliseconds, since Splunk 10 refuses an
 * exponent. Without a readable `createdAt` it is left out, and Splunk uses the time of receipt.
 */
export class Envelopes {
  /** Bytes an envelope adds to a JSON record, at most. */
  readonly overheadBytes: number;
  /** `"host":…,"event":` without the brace or comma before it. */
  readonly #middle: Buffer;
  readonly #json: boolean;

  constructor(metadata: Metadata, json: boolean) {
    const { host, source, sourcetype, index, fields } = metadata;
    // JSON.stringify leaves out what is undefined.
    const constant = JSON.stringify({ host, source, sourcetype, index, fields });
    this.#middle = Buffer.from(`${constant.slice(1, -1)},"event":`);
    this.#json = json;
    this.overheadBytes = framingBytes + this.#middle.length;
  }

  /** `scratch` returns the memory to write into, at least as long as asked. */
  body(batch: Batch, scratch: (bytes: number) => Buffer = Buffer.allocUnsafe): Body {
    const { records } = batch;
    const quotes = this.#json ? undefined : records.map(quoted);
    const texts = quotes ?? records.map(({ record }) => record);
    const length = texts.reduce((sum, text) => sum + text.length + this.overheadBytes, 0);
    const target = scratch(length);
    const middle = this.#middle;
    let untimed = 0;
    let at = 0;
    records.forEach((encoded, index) => {
      const ms = encoded.redacted.createdAtMs;
      if (ms === undefined) untimed++;
      at += target.write(ms === undefined ? '{' : `{"time":${seconds(ms)},`, at, 'latin1');
      at += middle.copy(target, at);
      at += (texts[index] ?? encoded.record).copy(target, at);
      target[at++] = closeBrace;
      target[at++] = lineFeed;
    });
    return { bytes: target.subarray(0, at), untimed };
  }
}

/** A status record of the forwarder: like the audit records, but for its sourcetype. */
export function statusEnvelope(status: StatusRecord, { host, source, index, fields }: Metadata): Buffer {
  const constant = JSON.stringify({ host, source, sourcetype: 'qasphere:forwarder', index, fields });
  return Buffer.from(`{"time":${seconds(status.atMs)},${constant.slice(1, -1)},"event":${statusRecordText(status)}}\n`);
}

const quoted = (encoded: Encoded): Buffer => Buffer.from(JSON.stringify(encoded.record.toString('utf8')));

/** Milliseconds since the epoch as a plain decimal of seconds with three places. */
export function seconds(ms: number): string {
  const digits = String(Math.abs(Math.round(ms))).padStart(4, '0');
  return `${ms < 0 ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}
