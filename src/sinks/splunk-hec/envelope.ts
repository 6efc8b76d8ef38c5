import type { Batch, Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import type { SplunkHecOptions } from './options.ts';

/** What never changes from one event to the next. */
export type Metadata = Pick<SplunkHecOptions, 'source' | 'sourcetype' | 'index' | 'fields'> & { readonly host: string };

/** Bytes of `{"time":253402300799.999,` and `}\n`. */
const framingBytes = 27;

/** A request's body, and how many of its events have no readable time. */
export interface Body {
  readonly bytes: Buffer;
  readonly untimed: number;
}

/**
 * Wraps records for `/services/collector/event`: one envelope a line, with the record's own bytes for `event` where they
 * are JSON, else as a JSON string. `time` is `createdAt` in seconds, a plain decimal with milliseconds (Splunk 10 refuses
 * an exponent); an event without a readable one gets none, so that Splunk takes the time of receipt.
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

  /** `scratch` gives the memory to write into, at least as long as asked. */
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
      at += target.write('}\n', at, 'latin1');
    });
    return { bytes: target.subarray(0, at), untimed };
  }
}

/** A record of the forwarder's own: another sourcetype, else as the audit records. */
export function statusEnvelope(note: StatusRecord, { host, source, index, fields }: Metadata): Buffer {
  const constant = JSON.stringify({ host, source, sourcetype: 'qasphere:forwarder', index, fields });
  return Buffer.from(`{"time":${seconds(note.atMs)},${constant.slice(1, -1)},"event":${statusRecordText(note)}}\n`);
}

const quoted = (encoded: Encoded): Buffer => Buffer.from(JSON.stringify(encoded.record.toString('utf8')));

/** Milliseconds since the epoch as a plain decimal of seconds with three places. */
export function seconds(ms: number): string {
  const digits = String(Math.abs(Math.round(ms))).padStart(4, '0');
  return `${ms < 0 ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}
