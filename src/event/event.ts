import type { Remarks } from './reading.ts';
import type { Rows } from './rows.ts';
import type { Sheet } from './sheet.ts';

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

/**
 * An event cut out of a page. Neither its parsed value is kept, unless it is wanted by most, nor is its text a buffer of
 * its own until someone wants it: on the way, the values of pages would be most of the memory in use, and most of the
 * garbage collector's work. An event that is sent as it came is its own record. What is known of it besides is asked of this
 * class, by the functions below, so that a changed copy does not inherit it.
 */
export abstract class CutEvent implements AuditEvent, Encoded {
  readonly id: Cursor;
  protected readonly sheet: Sheet;
  readonly #from: number;
  readonly #to: number;
  #value: AuditEvent['value'] | undefined;

  /** The page's bytes from `from` to `to`; `value`: what JSON.parse gives of them, where that is kept. */
  constructor(id: Cursor, sheet: Sheet, from: number, to: number, value: AuditEvent['value'] | undefined) {
    this.id = id;
    this.sheet = sheet;
    this.#from = from;
    this.#to = to;
    this.#value = value;
  }

  abstract get remarks(): Remarks | undefined;
  abstract get action(): string;
  abstract get createdAtMs(): number | undefined;
  abstract get user(): string | undefined;
  abstract get ip(): string | undefined;

  get text(): Buffer {
    return this.sheet.bytes.subarray(this.#from, this.#to);
  }
  get receivedAtMs(): number {
    return this.sheet.receivedAtMs;
  }
  get value(): AuditEvent['value'] {
    this.#value ??= JSON.parse(this.sheet.bytes.toString('utf8', this.#from, this.#to)) as Record<string, unknown>;
    return this.#value;
  }

  /** Whether the text is a record as it is, and whether it is a syslog payload; may be false where only others of its page are not. */
  get isSingleLine(): boolean {
    return this.sheet.isPlain;
  }
  get isSyslogSafe(): boolean {
    return this.sheet.isInert(this.#from, this.#to);
  }
  get event(): this {
    return this;
  }
  get redacted(): this {
    return this;
  }
  get record(): Buffer {
    return this.text;
  }
  /** Bytes of the text. */
  get size(): number {
    return this.#to - this.#from;
  }
  /** Copies the text into `target` from `at` on; gives the offset behind it. */
  copyTo(target: Buffer, at: number): number {
    return at + this.sheet.bytes.copy(target, at, this.#from, this.#to);
  }
}

/** One that was parsed: what everybody asks for is read from the value while it is at hand. */
export class ParsedEvent extends CutEvent {
  readonly #remarks: Remarks | undefined;
  readonly #action: string;
  readonly #createdAtMs: number | undefined;
  readonly #user: string | undefined;
  readonly #ip: string | undefined;

  /** @param value what JSON.parse gives of the page's bytes from `from` to `to` */
  constructor(id: Cursor, sheet: Sheet, from: number, to: number, value: AuditEvent['value']) {
    const { remark, keepParties, keepValues } = sheet.reading;
    super(id, sheet, from, to, keepValues === true ? value : undefined);
    this.#action = actionIn(value);
    this.#createdAtMs = timeIn(value);
    this.#remarks = remark?.(value, this.#createdAtMs);
    this.#user = keepParties === true ? userIn(value) : undefined;
    this.#ip = keepParties === true ? textIn(value['ip']) : undefined;
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
  get user(): string | undefined {
    return this.sheet.reading.keepParties === true ? this.#user : userIn(this.value);
  }
  get ip(): string | undefined {
    return this.sheet.reading.keepParties === true ? this.#ip : textIn(this.value['ip']);
  }
}

/** One that was never parsed, for it is as documented: its parts are read from the page by those who want them. */
export class PlacedEvent extends CutEvent {
  readonly action: string;
  /** Where the other parts stand, and in which row. */
  readonly rows: Rows;
  readonly row: number;

  constructor(id: Cursor, sheet: Sheet, from: number, to: number, action: string, rows: Rows, row: number) {
    super(id, sheet, from, to, undefined);
    this.action = action;
    this.rows = rows;
    this.row = row;
  }

  /** The text of the whole page. */
  get page(): Buffer {
    return this.sheet.bytes;
  }
  get remarks(): Remarks {
    return noRemarks;
  }
  get createdAtMs(): number {
    return this.rows.createdAtMs(this.row);
  }
  get user(): string | undefined {
    return this.page.toString('utf8', this.rows.userAt(this.row), this.rows.userEnd(this.row)) || undefined;
  }
  get ip(): string | undefined {
    return this.page.toString('utf8', this.rows.ipAt(this.row), this.rows.ipEnd(this.row)) || undefined;
  }
}

const noRemarks: Remarks = [];

/** The event's action, or '' where the API sent none. An open set: an opaque string. */
export function actionOf(event: AuditEvent): string {
  return event instanceof CutEvent ? event.action : actionIn(event.value);
}

/** Milliseconds since the epoch of `createdAt`, or undefined where it is missing or unreadable. */
export function createdAtMs(event: AuditEvent): number | undefined {
  return event instanceof CutEvent ? event.createdAtMs : timeIn(event.value);
}

/** What tells the user best: the address, else the name, else the id. */
export function userOf(event: AuditEvent): string | undefined {
  return event instanceof CutEvent ? event.user : userIn(event.value);
}

/** Where the user came from, or undefined where the API did not say. */
export function ipOf(event: AuditEvent): string | undefined {
  return event instanceof CutEvent ? event.ip : textIn(event.value['ip']);
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

function userIn(value: AuditEvent['value']): string | undefined {
  const user = value['user'];
  if (typeof user !== 'object' || user === null) return textIn(user);
  const { email, name, id } = user as Readonly<Record<string, unknown>>;
  return textIn(email) ?? textIn(name) ?? textIn(id);
}

function textIn(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

/** An event in the shape its sink wants. */
export interface Encoded {
  /** As the API sent it: what the dead letter keeps. */
  readonly event: AuditEvent;
  /** After redaction: what `record` was made from. */
  readonly redacted: AuditEvent;
  /** UTF-8, without a line end. */
  readonly record: Buffer;
}

/** Bytes of the record: without a buffer of its own for what is a place in a page. */
export function sizeOf(encoded: Encoded): number {
  return encoded instanceof CutEvent ? encoded.size : encoded.record.length;
}

/** Copies the record into `target` from `at` on; gives the offset behind it. */
export function copyRecord(encoded: Encoded, target: Buffer, at: number): number {
  return encoded instanceof CutEvent ? encoded.copyTo(target, at) : at + encoded.record.copy(target, at);
}

/** Records that travel together, in order of id. Never empty when a sink gets it. */
export interface Batch {
  readonly records: readonly Encoded[];
}
