import type { AuditEvent } from '../event/event.ts';

/** Event → record; pure. Hostile input harms none of them; what it throws is our bug and sets that event aside. */
export interface Format {
  readonly name: string;
  /** Whether a record is one JSON value (so that a sink may embed it) or a line of text. */
  readonly json: boolean;
  /** UTF-8, one line: no CR, LF or other raw control character. */
  encode(event: AuditEvent): Buffer;
}

/** What a format needs to know besides the event. */
export interface FormatContext {
  /** Host name of the tenant, from `source.url`. */
  readonly tenant: string;
  /** Version of this program. */
  readonly version: string;
}
