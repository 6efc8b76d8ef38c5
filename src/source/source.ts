import type { AuditEvent, Cursor } from '../event/event.ts';
import type { Moment } from '../lib/moment.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';

/** One answer of the audit log, in order. */
export interface Page {
  /** The cursor of the request. */
  readonly after: Cursor;
  /** In order of id, each id once, all above `after`. */
  readonly events: readonly AuditEvent[];
  /** Not later than the moment at which the server looked for the events. */
  readonly asked: Moment;
  /** Not earlier than that moment. */
  readonly answered: Moment;
}

/** The source returns no pages any more: the process ends with `exitCode`. */
export class SourceStop extends Error {
  override readonly name = 'SourceStop';
  readonly exitCode: 70 | 77 | 78;
  constructor(exitCode: 70 | 77 | 78, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The audit log of a tenant. All its pipelines share one. */
export interface Source {
  /**
   * The page after `after`, requested at `notBeforeMs` (monotonic) or later: an earlier one would not show what is new.
   * Retries what is passing for as long as it takes; undefined if `signals.graceful` fires first.
   * @throws {SourceStop} if the failure is not passing
   */
  page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined>;
  /** The first event after `after` as of now, as a page of at most one; never cached or shared. Else like `page`. */
  peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined>;
  /** Why the source is retrying now, one printable line; undefined if it is not. */
  readonly lastError: string | undefined;
}
