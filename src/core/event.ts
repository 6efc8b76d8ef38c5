/** A position in the audit log: the id of an event. Ids may exceed 2^53, so never a number. */
export type Cursor = bigint;

/** One audit event as the API gave it. */
export interface AuditEvent {
  readonly id: Cursor;
  /** The event's own JSON text, UTF-8, byte for byte as the API sent it; a view into its page. */
  readonly text: Buffer;
  /** The same, parsed. Numbers beyond 2^53 are rounded here: where digits matter, use `text`. */
  readonly value: Readonly<Record<string, unknown>>;
  /** When the page that held it was received, milliseconds since the epoch, local clock. */
  readonly receivedAtMs: number;
}

/** The event's action, or '' where the API sent none. An open set: an opaque string. */
export function actionOf(event: AuditEvent): string {
  const action = event.value['action'];
  return typeof action === 'string' ? action : '';
}

/** Milliseconds since the epoch of `createdAt`, or undefined where it is missing or unreadable. */
export function createdAtMs(event: AuditEvent): number | undefined {
  const text = event.value['createdAt'];
  if (typeof text !== 'string') return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** An event in the shape its sink wants. */
export interface Encoded {
  /** As the API sent it: what the dead letter keeps. */
  readonly event: AuditEvent;
  /** After redaction: what `record` was made from. */
  readonly shown: AuditEvent;
  /** UTF-8, without a line end. */
  readonly record: Buffer;
}

/** Records that travel together, in order of id. Never empty when a sink gets it. */
export interface Batch {
  readonly records: readonly Encoded[];
}
