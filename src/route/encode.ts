import { type AuditEvent, actionOf, type Encoded } from '../core/event.ts';
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

export type Shaped =
  | { readonly kind: 'record'; readonly encoded: Encoded }
  | { readonly kind: 'filtered'; readonly event: AuditEvent }
  /** The format or the redaction threw: our bug. */
  | { readonly kind: 'broken'; readonly encoded: Encoded; readonly detail: string };

export function shape(event: AuditEvent, { wants, redact, format }: Shape): Shaped {
  if (!wants(actionOf(event))) return { kind: 'filtered', event };
  try {
    const shown = redact(event);
    return { kind: 'record', encoded: { event, shown, record: format.encode(shown) } };
  } catch (error) {
    const why = error instanceof Error ? printable(error.message) : 'threw';
    const detail = `this is our bug, please report it: the format ${format.name} failed: ${why}`;
    return { kind: 'broken', encoded: { event, shown: event, record: Buffer.alloc(0) }, detail };
  }
}

/** Cuts records into batches by count and bytes, in order; a record over the limit stands alone. */
export function* batches(records: readonly Encoded[], limits: BatchLimits): Generator<Encoded[]> {
  let batch: Encoded[] = [];
  let bytes = 0;
  for (const encoded of records) {
    const size = encoded.record.length + (limits.overheadBytes ?? 0);
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
