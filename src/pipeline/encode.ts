import type { AuditEvent, Encoded } from '../event/event.ts';
import type { Format } from '../format/format.ts';
import { bugText } from '../lib/printable.ts';
import type { BatchLimits } from '../sinks/sink.ts';

/** Which events a sink gets, and how they are written. */
export interface EncodingOptions {
  /** Whether the sink gets events of this action. */
  readonly wants: (action: string) => boolean;
  /** Removes what the sink must not see; returns the same event if there is nothing to remove. */
  readonly redact: (event: AuditEvent) => AuditEvent;
  readonly format: Format;
}

/** An event whose redaction or format threw: our bug. */
export class EncodingFailure {
  readonly encoded: Encoded;
  readonly detail: string;

  constructor(event: AuditEvent, detail: string) {
    this.encoded = { event, redacted: event, record: Buffer.alloc(0) };
    this.detail = detail;
  }
}

/** The event in the format of its sink; undefined if the sink does not get it. */
export function encodeEvent(
  event: AuditEvent,
  { wants, redact, format }: EncodingOptions,
): Encoded | EncodingFailure | undefined {
  if (!wants(event.action)) return undefined;
  try {
    const redacted = redact(event);
    return { event, redacted, record: format.encode(redacted) };
  } catch (error) {
    // A bug, but one event must not stop all others: it is reported and goes to the dead letter.
    return new EncodingFailure(event, `bug in the format ${format.name}, please report it: ${bugText(error)}`);
  }
}

/** Cuts records into batches by count and bytes, in order. A record over the limit is alone. */
export function batches(records: readonly Encoded[], limits: BatchLimits): (readonly Encoded[])[] {
  const { maxEvents, maxBytes, overheadBytes = 0 } = limits;
  const cut: (readonly Encoded[])[] = [];
  let from = 0;
  let bytes = 0;
  records.forEach((encoded, at) => {
    const size = encoded.record.length + overheadBytes;
    if (at > from && (at - from >= maxEvents || bytes + size > maxBytes)) {
      cut.push(records.slice(from, at));
      from = at;
      bytes = 0;
    }
    bytes += size;
  });
  if (from < records.length) cut.push(records.slice(from));
  return cut;
}

interface EncodedPage {
  readonly records: readonly Encoded[];
  /** Not for this sink. */
  readonly filtered: readonly AuditEvent[];
  readonly broken: readonly EncodingFailure[];
}

/** The events of one page for one sink, in order. */
export function encodePage(events: readonly AuditEvent[], options: EncodingOptions): EncodedPage {
  const records: Encoded[] = [];
  const filtered: AuditEvent[] = [];
  const broken: EncodingFailure[] = [];
  for (const event of events) {
    const encoded = encodeEvent(event, options);
    if (encoded === undefined) filtered.push(event);
    else if (encoded instanceof EncodingFailure) broken.push(encoded);
    else records.push(encoded);
  }
  return { records: detach(records), filtered, broken };
}

/**
 * Records hold views into their page. If they are a small part of it, they are copied: otherwise a filter that keeps one event
 * of each page would keep whole pages in memory until those events are confirmed.
 */
function detach(records: readonly Encoded[]): readonly Encoded[] {
  const page = records[0]?.event.text.buffer;
  const bytes = records.reduce((sum, { event }) => sum + event.text.length, 0);
  if (page === undefined || bytes * 2 > page.byteLength) return records;
  // Not from the pool of small buffers: each of those would keep a whole slab.
  const copies = Buffer.allocUnsafeSlow(bytes);
  let end = 0;
  return records.map(({ event, redacted, record }) => {
    const text = copies.subarray(end, end + event.text.length);
    end += event.text.copy(text);
    const own = { ...event, text };
    const isText = record.byteOffset === event.text.byteOffset && record.length === event.text.length;
    const ownRecord = record.buffer !== page ? record : isText ? text : Buffer.from(record);
    return { event: own, redacted: redacted === event ? own : redacted, record: ownRecord };
  });
}
