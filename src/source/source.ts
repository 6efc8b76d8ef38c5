import type { AuditEvent, Cursor } from '../event/event.ts';
import type { Moment } from '../lib/moment.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';

/** One answer of the audit log, put in order. */
export interface Page {
  /** The cursor it was asked with. */
  readonly after: Cursor;
  /** In order of id, each id once, all above `after`. */
  readonly events: readonly AuditEvent[];
  /** Not later than the moment the server looked for the events. */
  readonly asked: Moment;
  /** Not earlier than that moment. */
  readonly answered: Moment;
}

/** Why the source gives no pages any more: the process ends with `exitCode`. */
export class SourceStop extends Error {
  override readonly name = 'SourceStop';
  readonly exitCode: 70 | 77 | 78;
  constructor(exitCode: 70 | 77 | 78, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The audit log. All routes share one. */
export interface Source {
  /**
   * The page after `after`, asked for at `notBeforeMs` (monotonic) or later: an earlier one would not show what is new.
   * Waits out what passes, for ever; undefined where `signals.graceful` fires first.
   * @throws {SourceStop} what will not pass
   */
  page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined>;
  /** The first event after `after` as of now, as a page of at most one; never kept or shared. Else as `page`. */
  peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined>;
  /** What the source is waiting out just now, one printable line; undefined while all is well. */
  readonly trouble: string | undefined;
}
