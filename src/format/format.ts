import type { AuditEvent } from '../event/event.ts';

/** Turns an event into a record; pure. No input makes it throw: if it does, that is a bug, and the event goes to the dead letter. */
export interface Format {
  readonly name: string;
  /** Whether a record is one JSON value (so that a sink may embed it) or a line of text. */
  readonly json: boolean;
  /** UTF-8, one line: no CR, LF or other raw control character. */
  encode(event: AuditEvent): Buffer;
}

/** What a format needs apart from the event. */
export interface FormatContext {
  /** Host name of the tenant, from `source.url`. */
  readonly tenant: string;
  /** Version of this program. */
  readonly version: string;
}
