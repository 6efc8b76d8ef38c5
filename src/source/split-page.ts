import { isUtf8 } from 'node:buffer';
import type { Cursor, CutEvent } from '../event/event.ts';
import { decodeString, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';
import type { Reading } from '../event/reading.ts';
import { Sheet } from '../event/sheet.ts';
import { printable } from '../lib/printable.ts';
import { StringCache } from '../lib/string-cache.ts';
import { type EventList, splitEventList } from './split-event-list.ts';

export interface SplitPage {
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
const openBrace = 0x7b;

/**
 * A page's events, each with its own text, cut out of the body unchanged. Every byte is looked at once: events as documented
 * are proved to be JSON where they stand, others are parsed, a few at a time, and all else is with an empty list in their
 * place. With one comma between the parts, that proves the body to be JSON as parsing it whole would do, but never holds all
 * its values at once. Linear in the body's length; the stack holds no more levels than a proof may have.
 *
 * @param actions makes the events' actions; from page to page the same ones
 */
export function splitPage(
  body: Buffer,
  receivedAtMs: number,
  reading: Reading = {},
  actions = new StringCache(),
): SplitPage | Unreadable {
  if (!isUtf8(body)) return unreadable('the body is not UTF-8');
  const text = body.subarray(0, 3).equals(byteOrderMark) ? body.subarray(3) : body;
  try {
    return cutText(new Sheet(text, receivedAtMs, reading), actions) ?? unreadable(whyNot(text));
  } catch (error) {
    if (error instanceof SyntaxError) return unreadable(whyNot(text));
    throw error;
  }
}

/** Undefined where the text is no page. @throws {SyntaxError} where a part of it is no JSON */
function cutText(sheet: Sheet, actions: StringCache): SplitPage | Unreadable | undefined {
  const text = sheet.bytes;
  const start = skipSpace(text, 0);
  if (text[start] !== openBrace) return undefined;
  let listAt = start;
  let list: EventList | undefined;
  let answeredAfter: string | undefined;
  eachMember(text, start, (keyAt, keyEnd, valueAt) => {
    const key = decodeString(text, keyAt, keyEnd);
    // Of a doubled key the last one counts, as in JSON.parse.
    if (key === 'events') {
      listAt = valueAt;
      list = splitEventList(sheet, valueAt, actions);
      return list?.end;
    }
    if (key !== 'after') return undefined;
    const end = endOfValue(text, valueAt);
    answeredAfter = text.toString('utf8', valueAt, Math.min(end, valueAt + 40));
    return end;
  });
  if (list === undefined) return undefined;
  const { events, sorted, problem, end } = list as EventList;
  JSON.parse(`${text.toString('utf8', 0, listAt)}[]${text.toString('utf8', end)}`);
  if (problem !== undefined) return unreadable(problem);
  return { kind: 'page', events: sorted ? events : inOrder(events), answeredAfter };
}

/** What is wrong with a text that is no page. */
function whyNot(text: Buffer): string {
  let page: unknown;
  try {
    page = JSON.parse(text.toString('utf8'));
  } catch (error) {
    return `the body is not JSON (${(error as Error).message}); it begins ${printable(text.toString('utf8', 0, 240), 60)}`;
  }
  if (typeof page !== 'object' || page === null || Array.isArray(page)) return 'the body is no JSON object';
  if (!Array.isArray((page as Record<string, unknown>)['events'])) return 'the body has no array "events"';
  return 'the events could not be told apart';
}

function inOrder(events: readonly CutEvent[]): CutEvent[] {
  const byId = new Map<Cursor, CutEvent>();
  for (const event of events) if (!byId.has(event.id)) byId.set(event.id, event);
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function unreadable(detail: string): Unreadable {
  return { kind: 'unreadable', detail: printable(detail) };
}
