import { type AuditEvent, actionOf, CutEvent, type Encoded, sizeOf } from '../core/event.ts';
import { printable } from '../core/printable.ts';
import type { Format } from '../format/format.ts';
import type { BatchLimits } from '../sink/sink.ts';

/** What a sink wants of an event, and how. */
export interface Shape {
  /** Whether the sink gets events of this action. */
  readonly wants: (action: string) => boolean;
  /** Takes out what the sink must not see; the same event where there is nothing. */
  readonly redact: (event: AuditEvent) => AuditEvent;
  readonly format: Format;
}

/** An event that its format or its redaction threw at: our bug. */
export class Broken {
  readonly encoded: Encoded;
  readonly detail: string;

  constructor(event: AuditEvent, detail: string) {
    this.encoded = { event, shown: event, record: Buffer.alloc(0) };
    this.detail = detail;
  }
}

/** The event as the sink wants it; undefined where it does not. */
export function shape(event: AuditEvent, { wants, redact, format }: Shape): Encoded | Broken | undefined {
  if (!wants(actionOf(event))) return undefined;
  try {
    const shown = redact(event);
    if (format.isVerbatim === true && shown === event && event instanceof CutEvent && event.isPlain) return event;
    return { event, shown, record: format.encode(shown) };
  } catch (error) {
    const why = error instanceof Error ? printable(error.message) : 'threw';
    return new Broken(event, `this is our bug, please report it: the format ${format.name} failed: ${why}`);
  }
}

/** Cuts records into batches by count and bytes, in order; a record over the limit stands alone. */
export function* batches(records: readonly Encoded[], limits: BatchLimits): Generator<Encoded[]> {
  let batch: Encoded[] = [];
  let bytes = 0;
  for (const encoded of records) {
    const size = sizeOf(encoded) + (limits.overheadBytes ?? 0);
    if (batch.length > 0 && (batch.length >= limits.maxEvents || bytes + size > limits.maxBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(encoded);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
