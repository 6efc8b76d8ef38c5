import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import type { Format } from '../format/format.ts';
import { printable } from '../lib/printable.ts';
import type { BatchLimits } from '../sinks/sink.ts';

/** What a sink wants of an event, and how. */
export interface EncodingOptions {
  /** Whether the sink gets events of this action. */
  readonly wants: (action: string) => boolean;
  /** Takes out what the sink must not see; the same event where there is nothing. */
  readonly redact: (event: AuditEvent) => AuditEvent;
  readonly format: Format;
}

/** An event that its format or its redaction threw at: our bug. */
export class EncodingFailure {
  readonly encoded: Encoded;
  readonly detail: string;

  constructor(event: AuditEvent, detail: string) {
    this.encoded = { event, redacted: event, record: Buffer.alloc(0) };
    this.detail = detail;
  }
}

/** The event as the sink wants it; undefined where it does not. */
export function encodeEvent(
  event: AuditEvent,
  { wants, redact, format }: EncodingOptions,
): Encoded | EncodingFailure | undefined {
  if (!wants(event.action)) return undefined;
  try {
    const redacted = redact(event);
    return { event, redacted, record: format.encode(redacted) };
  } catch (error) {
    const why = error instanceof Error ? printable(error.message) : 'threw';
    return new EncodingFailure(event, `this is our bug, please report it: the format ${format.name} failed: ${why}`);
  }
}

/** Cuts records into batches by count and bytes, in order; a record over the limit stands alone. */
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

export interface EncodedPage {
  readonly records: readonly Encoded[];
  /** Not wanted by the sink. */
  readonly filtered: readonly Cursor[];
  readonly broken: readonly EncodingFailure[];
}

/** The events as the sink wants them, in order. */
export function encodeAll(events: readonly AuditEvent[], wanted: EncodingOptions): EncodedPage {
  const records: Encoded[] = [];
  const filtered: Cursor[] = [];
  const broken: EncodingFailure[] = [];
  // Of a page's events each loop with an iterator leaves as many objects behind.
  events.forEach((event) => {
    const shaped = encodeEvent(event, wanted);
    if (shaped === undefined) filtered.push(event.id);
    else if (shaped instanceof EncodingFailure) broken.push(shaped);
    else records.push(shaped);
  });
  return { records, filtered, broken };
}
