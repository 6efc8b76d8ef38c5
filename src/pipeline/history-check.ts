import { createHash } from 'node:crypto';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Source } from '../source/source.ts';
import type { Checkpoint } from '../state/store.ts';

/** What became of the newest delivered event. */
export type EventStatus = 'unchanged' | 'rewritten' | 'missing' | 'unknown';

/** SHA-256 of an event's text, hexadecimal. */
export const digest = (text: Buffer): string => createHash('sha256').update(text).digest('hex');

/**
 * Whether the newest delivered event is still the one that was delivered. A tenant restored from a backup gives ids out
 * again: a cursor ahead of it would be silent for ever and look healthy. `missing` only while older ids are still there.
 */
export async function verifyLastDelivered(
  newest: NonNullable<Checkpoint['newest']>,
  source: Source,
  signals: ShutdownSignals,
): Promise<EventStatus> {
  const page = await source.peek(newest.id - 1n, signals);
  if (page === undefined) return 'unknown';
  const [event] = page.events;
  if (event?.id === newest.id) return digest(event.text) === newest.sha256 ? 'unchanged' : 'rewritten';
  const first = await source.peek(0n, signals);
  const oldest = first?.events[0];
  return oldest !== undefined && oldest.id < newest.id ? 'missing' : 'unknown';
}
