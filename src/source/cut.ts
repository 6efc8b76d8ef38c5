import { isUtf8 } from 'node:buffer';
import { type Cursor, CutEvent } from '../core/event.ts';
import { decodeString, eachElement, eachMember, endOfValue } from '../core/json-text.ts';
import { printable } from '../core/printable.ts';

export interface CutPage {
  readonly kind: 'page';
  /** In order of id, each id once; of doubled ids the first in the text stays. */
  readonly events: CutEvent[];
  /** The answer's own `after`, as it stood in the text. */
  readonly answeredAfter: string | undefined;
}

export interface Unreadable {
  readonly kind: 'unreadable';
  /** One printable line. */
  readonly detail: string;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * A page's events, each with its own text. The body is parsed once as a whole, which proves it to be JSON; the events'
 * bytes are then cut out of it unchanged. Linear in the body's length, no recursion.
 */
export function cutPage(body: Buffer, receivedAtMs: number): CutPage | Unreadable {
  if (!isUtf8(body)) return unreadable('the body is not UTF-8');
  const text = body.subarray(0, 3).equals(byteOrderMark) ? body.subarray(3) : body;
  let page: unknown;
  try {
    page = JSON.parse(text.toString('utf8'));
  } catch (error) {
    return unreadable(
      `the body is not JSON (${(error as Error).message}); it begins ${printable(text.toString('utf8', 0, 240), 60)}`,
    );
  }
  if (typeof page !== 'object' || page === null || Array.isArray(page)) return unreadable('the body is no JSON object');
  const values = (page as Record<string, unknown>)['events'];
  if (!Array.isArray(values)) return unreadable('the body has no array "events"');

  let eventsAt = -1;
  let answeredAfter: string | undefined;
  eachMember(text, text.indexOf(0x7b), (keyAt, keyEnd, valueAt) => {
    const key = decodeString(text, keyAt, keyEnd);
    // Of a doubled key the last one counts, as in JSON.parse.
    if (key === 'events') eventsAt = valueAt;
    else if (key === 'after') {
      const end = endOfValue(text, valueAt);
      answeredAfter = text.toString('utf8', valueAt, Math.min(end, valueAt + 40));
      return end;
    }
    return undefined;
  });

  const events: CutEvent[] = [];
  let problem: string | undefined;
  let sorted = true;
  let last: Cursor | undefined;
  eachElement(text, eventsAt, (at, index) => {
    const end = endOfValue(text, at);
    const value: unknown = values[index];
    const own = text.subarray(at, end);
    const id = idOf(value, own);
    if (id === undefined) {
      problem ??= `event ${index} has no integer id: ${printable(own.toString('utf8', 0, 240), 60)}`;
      return end;
    }
    if (last !== undefined && id <= last) sorted = false;
    last = id;
    events.push(new CutEvent(id, own, value as Record<string, unknown>, receivedAtMs));
    return end;
  });
  if (problem !== undefined) return unreadable(problem);
  if (events.length !== values.length) return unreadable('the events could not be told apart');
  return { kind: 'page', events: sorted ? events : inOrder(events), answeredAfter };
}

/** The event's id with all its digits, or undefined where it has no integer one. */
export function idOf(value: unknown, text: Buffer): Cursor | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const id = (value as Record<string, unknown>)['id'];
  if (typeof id !== 'number' || !Number.isInteger(id)) return undefined;
  if (Number.isSafeInteger(id)) return BigInt(id);
  let digits: string | undefined;
  eachMember(text, 0, (keyAt, keyEnd, valueAt) => {
    if (decodeString(text, keyAt, keyEnd) !== 'id') return undefined;
    const end = endOfValue(text, valueAt);
    digits = text.toString('latin1', valueAt, end);
    return end;
  });
  return digits !== undefined && /^-?\d+$/.test(digits) ? BigInt(digits) : undefined;
}

function inOrder(events: readonly CutEvent[]): CutEvent[] {
  const byId = new Map<Cursor, CutEvent>();
  for (const event of events) if (!byId.has(event.id)) byId.set(event.id, event);
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function unreadable(detail: string): Unreadable {
  return { kind: 'unreadable', detail: printable(detail) };
}
