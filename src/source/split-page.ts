import { isUtf8 } from 'node:buffer';
import { type AuditEvent, auditEvent, type Cursor, type EventValue } from '../event/event.ts';
import { decodeString, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';
import { type Differences, differencesOf } from './schema-drift.ts';

export interface SplitPage {
  readonly kind: 'page';
  /** In order of id, each id once; of repeated ids the first in the text stays. */
  readonly events: readonly AuditEvent[];
  /** How events differ from the API's documentation; most pages have none that do. */
  readonly differences: ReadonlyMap<Cursor, Differences>;
  /** The answer's own `after`: its digits, or `not an integer`. Logged, so it is never other text. */
  readonly answeredAfter: string | undefined;
}

export interface Unreadable {
  readonly kind: 'unreadable';
  /** One printable line without audit data. */
  readonly detail: string;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);
const openBrace = 0x7b;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const letterN = 0x6e;
/** Events parsed at once: enough to spread the cost of a call, few enough that the values die young. */
const SLICE = 32;
const scratch = Buffer.allocUnsafeSlow(32 * 1024);

/**
 * Splits a page into its events, each with its own text, unchanged. The events are parsed a few at a time, and the rest of
 * the page is parsed with an empty list in their place. With one comma between the parts that proves the body to be JSON
 * as parsing it whole would, without holding all its values at once. `"events": null` is an empty page: some servers
 * encode an empty list so. Linear in the body's length; nesting takes no stack.
 */
export function splitPage(body: Buffer, receivedAtMs: number): SplitPage | Unreadable {
  if (!isUtf8(body)) return unreadable('the body is not UTF-8');
  const text = body.subarray(0, 3).equals(byteOrderMark) ? body.subarray(3) : body;
  try {
    return splitText(text, receivedAtMs) ?? unreadable(reasonFor(text));
  } catch (error) {
    if (error instanceof SyntaxError) return unreadable(reasonFor(text));
    throw error;
  }
}

/** Undefined if the text is not a page. @throws {SyntaxError} if a part of it is not JSON */
function splitText(text: Buffer, receivedAtMs: number): SplitPage | Unreadable | undefined {
  const start = skipSpace(text, 0);
  if (text[start] !== openBrace) return undefined;
  let listAt = start;
  let list: EventList | undefined;
  let answeredAfter: string | undefined;
  eachMember(text, start, (keyAt, keyEnd, valueAt) => {
    const key = decodeString(text, keyAt, keyEnd);
    // Of a repeated key the last one counts, as in JSON.parse.
    if (key === 'events') {
      listAt = valueAt;
      list = new ListReader(text, receivedAtMs).read(valueAt);
      return list?.end;
    }
    if (key !== 'after') return undefined;
    const end = endOfValue(text, valueAt);
    const digits = text.toString('latin1', valueAt, Math.min(end, valueAt + 40));
    answeredAfter = /^-?\d+$/.test(digits) ? digits : 'not an integer';
    return end;
  });
  if (list === undefined) return undefined;
  const { events, isSorted, problem, differences, end } = list as EventList;
  JSON.parse(`${text.toString('utf8', 0, listAt)}[]${text.toString('utf8', end)}`);
  if (problem !== undefined) return unreadable(problem);
  return { kind: 'page', events: isSorted ? events : inOrder(events), differences, answeredAfter };
}

interface EventList {
  readonly events: readonly AuditEvent[];
  readonly isSorted: boolean;
  readonly differences: ReadonlyMap<Cursor, Differences>;
  /** Why one of the elements is not an event. */
  readonly problem: string | undefined;
  /** Offset behind the list. */
  readonly end: number;
}

/** Reads the list of events once, from left to right. */
class ListReader {
  readonly #text: Buffer;
  readonly #receivedAtMs: number;
  readonly #events: AuditEvent[] = [];
  readonly #differences = new Map<Cursor, Differences>();
  #problem: string | undefined;
  #isSorted = true;
  #last: Cursor | undefined;
  #index = 0;
  #here = 0;
  #hasMore = false;

  constructor(text: Buffer, receivedAtMs: number) {
    this.#text = text;
    this.#receivedAtMs = receivedAtMs;
  }

  /** Undefined if no list begins at `at`, or if its elements can't be separated. @throws {SyntaxError} */
  read(at: number): EventList | undefined {
    if (this.#text[at] === letterN) return this.#result(parseNull(this.#text, at));
    if (this.#text[at] !== openBracket) return undefined;
    this.#here = skipSpace(this.#text, at + 1);
    this.#hasMore = this.#text[this.#here] !== closeBracket;
    while (this.#hasMore) if (!this.#parseSlice()) return undefined;
    return this.#text[this.#here] === closeBracket ? this.#result(this.#here + 1) : undefined;
  }

  #result(end: number): EventList {
    return {
      events: this.#events,
      isSorted: this.#isSorted,
      differences: this.#differences,
      problem: this.#problem,
      end,
    };
  }

  /** False if an element of the list is not a value. @throws {SyntaxError} */
  #parseSlice(): boolean {
    const ranges: { readonly start: number; readonly end: number }[] = [];
    const from = this.#here;
    let to = from;
    do {
      const start = this.#here;
      to = endOfValue(this.#text, start);
      // Without a value here the bytes that follow, which are not parsed yet, may be anything.
      if (to === start) return false;
      ranges.push({ start, end: to });
      this.#advance(to);
    } while (this.#hasMore && ranges.length < SLICE);
    const values = parseList(this.#text, from, to);
    if (values.length !== ranges.length) return false;
    ranges.forEach(({ start, end }, at) => {
      this.#take(values[at], start, end);
    });
    return true;
  }

  #take(value: unknown, start: number, end: number): void {
    const id = idOf(value, this.#text, start);
    if (id === undefined) {
      this.#problem ??= `event ${this.#index} has no integer id`;
      this.#index++;
      return;
    }
    const text = this.#text.subarray(start, end);
    const event = auditEvent({ id, text, receivedAtMs: this.#receivedAtMs, value: value as EventValue });
    const differences = differencesOf(value as EventValue, event.createdAtMs);
    if (differences.length > 0) this.#differences.set(id, differences);
    this.#add(event);
  }

  #add(event: AuditEvent): void {
    if (this.#last !== undefined && event.id <= this.#last) this.#isSorted = false;
    this.#last = event.id;
    this.#events.push(event);
    this.#index++;
  }

  /** From the end of a value to the next one. */
  #advance(end: number): void {
    this.#here = skipSpace(this.#text, end);
    this.#hasMore = this.#text[this.#here] === comma;
    if (this.#hasMore) this.#here = skipSpace(this.#text, this.#here + 1);
  }
}

/** Offset behind `null`. @throws {SyntaxError} for any other word */
function parseNull(text: Buffer, at: number): number {
  const end = endOfValue(text, at);
  JSON.parse(text.toString('utf8', at, end));
  return end;
}

/** Parses elements without the brackets around them. @throws {SyntaxError} */
function parseList(text: Buffer, from: number, to: number): readonly unknown[] {
  const length = to - from + 2;
  // Bracketed as bytes in a buffer that is used again: a concatenated string would be copied once more.
  const list = length <= scratch.length ? scratch : Buffer.allocUnsafe(length);
  list[0] = openBracket;
  text.copy(list, 1, from, to);
  list[length - 1] = closeBracket;
  return JSON.parse(list.toString('utf8', 0, length)) as unknown[];
}

/** The id, with all its digits, of the event that begins at `at`; undefined if it has no integer id. */
function idOf(value: unknown, text: Buffer, at: number): Cursor | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const id = (value as EventValue)['id'];
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

/**
 * Why a text is not a page. It quotes nothing of it, and of a syntax error only what and where: Node's own message quotes
 * the text around it, which may be an audit event.
 */
function reasonFor(text: Buffer): string {
  let page: unknown;
  try {
    page = JSON.parse(text.toString('utf8'));
  } catch (error) {
    const position = /at position (\d+)/.exec((error as Error).message)?.[1];
    const where =
      position === undefined ? `in ${text.length} bytes` : `at position ${position} of ${text.length} bytes`;
    return `the body is not JSON (syntax error ${where})`;
  }
  if (typeof page !== 'object' || page === null || Array.isArray(page)) return 'the body is not a JSON object';
  if (!Array.isArray((page as EventValue)['events'])) return 'the body has no array "events"';
  return 'the events could not be separated';
}

function inOrder(events: readonly AuditEvent[]): AuditEvent[] {
  const byId = new Map<Cursor, AuditEvent>();
  for (const event of events) if (!byId.has(event.id)) byId.set(event.id, event);
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const unreadable = (detail: string): Unreadable => ({ kind: 'unreadable', detail });
