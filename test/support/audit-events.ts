import { type AuditEvent, auditEvent as eventOfParts } from '../../src/event/event.ts';

/** When test events are received unless said otherwise: 2026-11-23T10:00:05.000Z. */
export const receivedAtMs = Date.UTC(2026, 10, 23, 10, 0, 5);

/** An event as the source would make it from the API's text. */
export function auditEvent(text: string | Buffer, id = 1n, at = receivedAtMs): AuditEvent {
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text);
  return eventOfParts({ id, text: bytes, receivedAtMs: at });
}
