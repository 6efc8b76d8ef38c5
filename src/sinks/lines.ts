import type { Batch } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import { statusRecordText } from '../event/status-record.ts';

const newline = 0x0a;

/** The records of a batch, one a line. `isTorn`: the text before ends within a line, which is ended first. */
export function batchLines({ records }: Batch, isTorn: boolean): Buffer {
  const length = records.reduce((sum, encoded) => sum + encoded.record.length + 1, isTorn ? 1 : 0);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  if (isTorn) bytes[at++] = newline;
  for (const encoded of records) {
    at += encoded.record.copy(bytes, at);
    bytes[at++] = newline;
  }
  return bytes;
}

/** A status record on a line. `isTorn` as above. */
export const statusLine = (record: StatusRecord, isTorn: boolean): Buffer =>
  Buffer.from(`${isTorn ? '\n' : ''}${statusRecordText(record)}\n`);

/** JSON records as one array, each with its own bytes. */
export function jsonArray(records: readonly Buffer[]): Buffer {
  const comma = Buffer.from(',');
  const joined = records.flatMap((text, index) => (index === 0 ? [text] : [comma, text]));
  return Buffer.concat([Buffer.from('['), ...joined, Buffer.from(']')]);
}
