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
  /** What was remarked of the value when it was parsed; undefined where nobody looked. */
  readonly remarks?: Remarks | undefined;
}

/** Names for what is remarkable in an event; empty for nearly all. */
export type Remarks = readonly string[];

/** How much of an event's parsed value outlives the parsing of its page. */
export interface Reading {
  /** The whole value is kept: most events will be asked for it. */
  readonly keepValues?: boolean;
  /** Looks at each value while it is at hand; `createdAtMs` as the function of that name gives it. */
  readonly remark?: (value: AuditEvent['value'], createdAtMs: number | undefined) => Remarks;
}

/**
 * An event cut out of a page. What everybody asks for is read from the parsed value at once; the rest may be let go of,
 * to be parsed again for whoever wants it all the same: kept, the parsed pages on their way would be most of the memory
 * in use, and most of the garbage collector's work. What is read stands behind getters, so that a changed copy does not
 * inherit it.
 */
export class CutEvent implements AuditEvent {
  readonly id: Cursor;
  readonly text: Buffer;
  readonly receivedAtMs: number;
  readonly #remarks: Remarks | undefined;
  readonly #action: string;
  readonly #createdAtMs: number | undefined;
  #value: AuditEvent['value'] | undefined;

  /** @param value what JSON.parse gives of `text` */
  constructor(id: Cursor, text: Buffer, value: AuditEvent['value'], receivedAtMs: number, reading: Reading = {}) {
    this.id = id;
    this.text = text;
    this.receivedAtMs = receivedAtMs;
    this.#action = actionIn(value);
    this.#createdAtMs = timeIn(value);
    this.#remarks = reading.remark?.(value, this.#createdAtMs);
    this.#value = reading.keepValues === true ? value : undefined;
  }

  get value(): AuditEvent['value'] {
    this.#value ??= JSON.parse(this.text.toString('utf8')) as Record<string, unknown>;
    return this.#value;
  }
  get remarks(): Remarks | undefined {
    return this.#remarks;
  }
  get action(): string {
    return this.#action;
  }
  get createdAtMs(): number | undefined {
    return this.#createdAtMs;
  }
}

/** The event's action, or '' where the API sent none. An open set: an opaque string. */
export function actionOf(event: AuditEvent): string {
  return event instanceof CutEvent ? event.action : actionIn(event.value);
}

/** Milliseconds since the epoch of `createdAt`, or undefined where it is missing or unreadable. */
export function createdAtMs(event: AuditEvent): number | undefined {
  return event instanceof CutEvent ? event.createdAtMs : timeIn(event.value);
}

function actionIn(value: AuditEvent['value']): string {
  const action = value['action'];
  return typeof action === 'string' ? action : '';
}

function timeIn(value: AuditEvent['value']): number | undefined {
  const text = value['createdAt'];
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
