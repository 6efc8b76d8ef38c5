import type { AuditEvent, Cursor } from '../event/event.ts';

/** Where records go that a sink refuses for their content: part of the audit trail. */
export interface DeadLetter {
  /** Looks up which ids above `after` are kept already, from before a crash. */
  open(after: Cursor): Promise<void>;
  /**
   * Durable when it resolves; an id kept already is not kept twice.
   * @throws the file system's error, with nothing half written
   */
  append(refusal: { readonly sink: string; readonly reason: string; readonly event: AuditEvent }): Promise<void>;
}
