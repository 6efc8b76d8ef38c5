import { parseTimestamp } from './timestamp.ts';

/** A position in the audit log: the id of an event. Ids may exceed 2^53, so never a number. */
export type Cursor = bigint;

/**
 * One audit event as the API sent it: its own text, and the few members that filters, sinks and checkpoints ask for. The
 * parsed value is not kept: the values of a few pages would be most of the memory in use. `eventValue` parses it again.
 */
export interface AuditEvent {
  readonly id: Cursor;
  /** The event's own JSON text, UTF-8, byte for byte as the API sent it. A view into its page: it keeps the page in memory. */
  readonly text: Buffer;
  /** When the page that held it was received, milliseconds since the epoch, local clock. */
  readonly receivedAtMs: number;
  /** '' if the API sent none. An open set: an opaque string. */
  readonly action: string;
  /** `createdAt` in milliseconds since the epoch; undefined if it is missing or unreadable. */
  readonly createdAtMs: number | undefined;
  /** What identifies the user best: the email address, else the name, else the id. */
  readonly user: string | undefined;
  /** Where the user came from; undefined if the API did not say. */
  readonly ip: string | undefined;
}

/** A parsed event. Numbers beyond 2^53 are rounded in it: where digits matter, use the text. */
export type EventValue = Readonly<Record<string, unknown>>;

export interface EventParts {
  readonly id: Cursor;
  readonly text: Buffer;
  readonly receivedAtMs: number;
  /** What JSON.parse returns for `text`, if the caller has it already. */
  readonly value?: EventValue;
}

/** @throws {SyntaxError} if no value is given and the text is not JSON */
export function auditEvent({ id, text, receivedAtMs, value = parse(text) }: EventParts): AuditEvent {
  const { action, createdAt, user, ip } = value;
  return {
    id,
    text,
    receivedAtMs,
    action: typeof action === 'string' ? action : '',
    createdAtMs: typeof createdAt === 'string' ? parseTimestamp(createdAt) : undefined,
    user: userIn(user),
    ip: textIn(ip),
  };
}

/** Parses the event's text again. */
export const eventValue = ({ text }: AuditEvent): EventValue => parse(text);

const parse = (text: Buffer) => JSON.parse(text.toString('utf8')) as EventValue;

function userIn(user: unknown): string | undefined {
  if (typeof user !== 'object' || user === null) return textIn(user);
  const { email, name, id } = user as EventValue;
  return textIn(email) ?? textIn(name) ?? textIn(id);
}

function textIn(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

/** An event in the format of its sink. */
export interface Encoded {
  /** As the API sent it: what the dead letter stores. */
  readonly event: AuditEvent;
  /** After redaction: what `record` was made from. */
  readonly redacted: AuditEvent;
  /** UTF-8, without a line end. */
  readonly record: Buffer;
}

/** Records that are sent together, in order of id. Never empty when a sink receives it. */
export interface Batch {
  readonly records: readonly Encoded[];
}
