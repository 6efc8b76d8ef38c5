import { createHash } from 'node:crypto';
import type { AuditEvent } from '../event/event.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Source } from '../source/source.ts';
import type { NewestEvent } from '../state/store.ts';

/** What the log says about the newest delivered event. */
type HistoryResult = 'unchanged' | 'rewritten' | 'missing' | 'unknown';

/** SHA-256 of an event's text, hexadecimal. */
const digest = (text: Buffer): string => createHash('sha256').update(text).digest('hex');

/**
 * Whether the newest delivered event is still the one that was delivered. A tenant restored from a backup assigns ids again:
 * a cursor ahead of it would bring nothing and look healthy. Only what identifies an event is compared: its text may change
 * harmlessly, for example when a user is renamed. `missing` is reported only if older ids are still there.
 */
export async function verifyLastDelivered(
  newest: NewestEvent,
  source: Source,
  signals: ShutdownSignals,
): Promise<HistoryResult> {
  const page = await source.peek(newest.id - 1n, signals);
  if (page === undefined) return 'unknown';
  const [event] = page.events;
  if (event?.id === newest.id) return compare(newest, event);
  const first = await source.peek(0n, signals);
  const oldest = first?.events[0];
  return oldest !== undefined && oldest.id < newest.id ? 'missing' : 'unknown';
}

function compare(newest: NewestEvent, event: AuditEvent): HistoryResult {
  // Of another text it can't be said whether it is another event.
  if (newest.sha256 !== undefined) return digest(event.text) === newest.sha256 ? 'unchanged' : 'unknown';
  return event.createdAtMs === newest.createdAtMs && event.action === newest.action ? 'unchanged' : 'rewritten';
}
