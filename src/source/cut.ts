import { isUtf8 } from 'node:buffer';
import { type AuditEvent, type Cursor, type CutEvent, ParsedEvent, PlacedEvent } from '../core/event.ts';
import { Interner } from '../core/interner.ts';
import { decodeString, eachMember, endOfValue, skipSpace } from '../core/json-text.ts';
import { printable } from '../core/printable.ts';
import type { Reading } from '../core/reading.ts';
import { Rows } from '../core/rows.ts';
import { Sheet } from '../core/sheet.ts';
import { DocumentedReader } from './documented.ts';

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

interface List {
  readonly events: CutEvent[];
  readonly sorted: boolean;
  /** Why one of the elements is no event. */
  readonly problem: string | undefined;
  /** Offset behind the list. */
  readonly end: number;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);
const comma = 0x2c;
const openBrace = 0x7b;
const openBracket = 0x5b;
const closeBracket = 0x5d;
/**
 * Events parsed in one go: so many that a call's own cost does not show, so few that their values, which hardly anyone
 * keeps, are gone before the garbage collector would move them.
 */
const atOnce = 32;
/** Of an event. */
const usualBytes = 300;
const scratch = Buffer.allocUnsafeSlow(32 * 1024);

/**
 * A page's events, each with its own text, cut out of the body unchanged. Every byte is parsed once: the events a few at
 * a time, all else with an empty list in their place. With one comma between the parts, that proves the body to be JSON
 * as parsing it whole would do, but never holds all its values at once. Linear in the body's length, no recursion.
 */
export function cutPage(
  body: Buffer,
  receivedAtMs: number,
  reading: Reading = {},
  actions = new Interner(),
): CutPage | Unreadable {
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
function cutText(sheet: Sheet, actions: Interner): CutPage | Unreadable | undefined {
  const text = sheet.bytes;
  const start = skipSpace(text, 0);
  if (text[start] !== openBrace) return undefined;
  let listAt = start;
  let list: List | undefined;
  let answeredAfter: string | undefined;
  eachMember(text, start, (keyAt, keyEnd, valueAt) => {
    const key = decodeString(text, keyAt, keyEnd);
    // Of a doubled key the last one counts, as in JSON.parse.
    if (key === 'events') {
      listAt = valueAt;
      list = cutList(sheet, valueAt, actions);
      return list?.end;
    }
    if (key !== 'after') return undefined;
    const end = endOfValue(text, valueAt);
    answeredAfter = text.toString('utf8', valueAt, Math.min(end, valueAt + 40));
    return end;
  });
  if (list === undefined) return undefined;
  const { events, sorted, problem, end } = list as List;
  JSON.parse(`${text.toString('utf8', 0, listAt)}[]${text.toString('utf8', end)}`);
  if (problem !== undefined) return unreadable(problem);
  return { kind: 'page', events: sorted ? events : inOrder(events), answeredAfter };
}

/** Cuts up the list that begins at `at`; undefined where there is none. @throws {SyntaxError} where an element is no JSON */
function cutList(sheet: Sheet, at: number, actions: Interner): List | undefined {
  const text = sheet.bytes;
  if (text[at] !== openBracket) return undefined;
  const events: CutEvent[] = [];
  let problem: string | undefined;
  let sorted = true;
  let last: Cursor | undefined;
  let index = 0;
  const starts: number[] = [];
  const ends: number[] = [];
  let here = skipSpace(text, at + 1);
  // Where most are asked for their values, these are made here.
  const reader = sheet.reading.keepValues === true ? undefined : new DocumentedReader(text);
  const rows = new Rows(Math.ceil(text.length / usualBytes));
  for (let more = text[here] !== closeBracket; more; ) {
    if (reader?.read(here) === true) {
      const id = BigInt(reader.id);
      if (last !== undefined && id <= last) sorted = false;
      last = id;
      const action = actions.textAt(text, reader.actionAt, reader.actionEnd);
      events.push(new PlacedEvent(id, sheet, here, reader.to, action, rows, rows.add(reader)));
      index++;
      here = skipSpace(text, reader.to);
      more = text[here] === comma;
      if (more) here = skipSpace(text, here + 1);
      continue;
    }
    const from = here;
    let count = 0;
    do {
      const end = endOfValue(text, here);
      // Nothing stands where a value should: what has not been parsed yet may be anything.
      if (end === here) return undefined;
      starts[count] = here;
      ends[count++] = end;
      here = skipSpace(text, end);
      more = text[here] === comma;
      if (more) here = skipSpace(text, here + 1);
    } while (more && count < atOnce);
    const values = parseList(text, from, ends[count - 1] ?? from);
    if (values.length !== count) return undefined;
    for (let place = 0; place < count; place++, index++) {
      const [start = 0, end = 0] = [starts[place], ends[place]];
      const value = values[place];
      const id = idOf(value, text, start);
      if (id === undefined) {
        problem ??= `event ${index} has no integer id: ${printable(text.toString('utf8', start, Math.min(end, start + 240)), 60)}`;
        continue;
      }
      if (last !== undefined && id <= last) sorted = false;
      last = id;
      events.push(new ParsedEvent(id, sheet, start, end, value as AuditEvent['value']));
    }
  }
  return text[here] === closeBracket ? { events, sorted, problem, end: here + 1 } : undefined;
}

/** Parses elements without the brackets around them. @throws {SyntaxError} */
function parseList(text: Buffer, from: number, to: number): readonly unknown[] {
  const length = to - from + 2;
  // Bracketed as bytes, and in the same ones each time: a string put together would be copied once more, in twice the
  // space where it is not ASCII.
  const list = length <= scratch.length ? scratch : Buffer.allocUnsafe(length);
  list[0] = openBracket;
  text.copy(list, 1, from, to);
  list[length - 1] = closeBracket;
  return JSON.parse(list.toString('utf8', 0, length)) as unknown[];
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

/** The id of the event that begins at `at` with all its digits, or undefined where it has no integer one. */
export function idOf(value: unknown, text: Buffer, at = 0): Cursor | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const id = (value as Record<string, unknown>)['id'];
  if (typeof id !== 'number' || !Number.isInteger(id)) return undefined;
  if (Number.isSafeInteger(id)) return BigInt(id);
  let digits: string | undefined;
  eachMember(text, at, (keyAt, keyEnd, valueAt) => {
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
