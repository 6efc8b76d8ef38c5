import { type Batch, copyRecord, createdAtMs, type Encoded, sizeOf } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { copyBytes, writeDigits } from '../../event/write-bytes.ts';
import type { SplunkHecOptions } from './options.ts';

/** What never changes from one event to the next. */
export type Metadata = Pick<SplunkHecOptions, 'source' | 'sourcetype' | 'index' | 'fields'> & { readonly host: string };

const opening = Buffer.from('{');
const timeKey = Buffer.from('{"time":');
const closing = Buffer.from('}\n');
/** `{"time":-8640000000000.000` is the longest. */
const longestTime = timeKey.length + 18;

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
    this.overheadBytes = longestTime + 1 + this.#middle.length + closing.length;
  }

  /** `scratch` gives the memory to write into, at least as long as asked. */
  body(batch: Batch, scratch: (bytes: number) => Buffer = Buffer.allocUnsafe): Body {
    const { records } = batch;
    const quotes = this.#json ? undefined : records.map(quoted);
    const texts =
      quotes?.reduce((sum, quote) => sum + quote.length, 0) ?? records.reduce((sum, each) => sum + sizeOf(each), 0);
    const length = texts + records.length * this.overheadBytes;
    const target = scratch(length);
    const middle = this.#middle;
    let untimed = 0;
    let at = 0;
    records.forEach((encoded, index) => {
      const ms = createdAtMs(encoded.redacted);
      if (ms === undefined) {
        untimed++;
        at = copyBytes(target, at, opening);
      } else {
        at = copyBytes(target, at, timeKey);
        at = writeSeconds(target, at, ms);
        target[at++] = 0x2c;
      }
      at += middle.copy(target, at);
      const quote = quotes?.[index];
      at = quote === undefined ? copyRecord(encoded, target, at) : at + quote.copy(target, at);
      at = copyBytes(target, at, closing);
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

/** Writes what `seconds` gives and returns the offset behind it; digit by digit where there are thirteen, as until 2286. */
function writeSeconds(target: Buffer, at: number, ms: number): number {
  if (ms < 1e12 || ms >= 1e13) return at + target.write(seconds(ms), at, 'latin1');
  const whole = Math.floor(ms / 1000);
  // Numbers under 2^31 are divided several times as fast as larger ones.
  const high = Math.floor(whole / 100_000) | 0;
  writeDigits(target, at, 5, high);
  writeDigits(target, at + 5, 5, (whole - high * 100_000) | 0);
  target[at + 10] = 0x2e;
  writeDigits(target, at + 11, 3, (ms - whole * 1000) | 0);
  return at + 14;
}

/** Milliseconds since the epoch as a plain decimal of seconds with three places. */
export function seconds(ms: number): string {
  const digits = String(Math.abs(Math.round(ms))).padStart(4, '0');
  return `${ms < 0 ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}
