import { type AuditEvent, type Cursor, type CutEvent, ParsedEvent, PlacedEvent } from '../event/event.ts';
import { decodeString, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';
import { Rows } from '../event/rows.ts';
import type { Sheet } from '../event/sheet.ts';
import { printable } from '../lib/printable.ts';
import type { StringCache } from '../lib/string-cache.ts';
import { DocumentedReader } from './fast-path.ts';

/** A list of events as it stands in a page. */
export interface EventList {
  readonly events: CutEvent[];
  readonly sorted: boolean;
  /** Why one of the elements is no event. */
  readonly problem: string | undefined;
  /** Offset behind the list. */
  readonly end: number;
}

const comma = 0x2c;
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
 * Cuts up the list that begins at `at`; undefined where there is none, or where it could not be told apart.
 * @throws {SyntaxError} where an element is no JSON
 */
export function splitEventList(sheet: Sheet, at: number, actions: StringCache): EventList | undefined {
  return sheet.bytes[at] === openBracket ? new ListCutter(sheet, actions).cut(at) : undefined;
}

/** Goes through a list once: events that are as documented are read where they stand, others are parsed, some at once. */
class ListCutter {
  readonly #sheet: Sheet;
  readonly #text: Buffer;
  readonly #actions: StringCache;
  /** Where most events are asked for their values, these are made here. */
  readonly #reader: DocumentedReader | undefined;
  readonly #rows: Rows;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #events: CutEvent[] = [];
  #problem: string | undefined;
  #sorted = true;
  #last: Cursor | undefined;
  #index = 0;
  #here = 0;
  #more = false;

  constructor(sheet: Sheet, actions: StringCache) {
    const { bytes, reading } = sheet;
    this.#sheet = sheet;
    this.#text = bytes;
    this.#actions = actions;
    this.#reader = reading.keepValues === true ? undefined : new DocumentedReader(bytes);
    this.#rows = new Rows(reading.keepValues === true ? 0 : Math.ceil(bytes.length / usualBytes));
  }

  /** @throws {SyntaxError} */
  cut(at: number): EventList | undefined {
    this.#here = skipSpace(this.#text, at + 1);
    this.#more = this.#text[this.#here] !== closeBracket;
    while (this.#more) if (!this.#readOne() && !this.#parseSome()) return undefined;
    if (this.#text[this.#here] !== closeBracket) return undefined;
    return { events: this.#events, sorted: this.#sorted, problem: this.#problem, end: this.#here + 1 };
  }

  /** False where the next event is not as documented. */
  #readOne(): boolean {
    const reader = this.#reader;
    if (reader?.read(this.#here) !== true) return false;
    const { to } = reader;
    const action = this.#actions.textAt(this.#text, reader.actionAt, reader.actionEnd);
    const row = this.#rows.add(reader);
    this.#add(new PlacedEvent(BigInt(reader.id), this.#sheet, this.#here, to, action, this.#rows, row));
    this.#goOn(to);
    return true;
  }

  /** False where something in the list is no value. @throws {SyntaxError} */
  #parseSome(): boolean {
    const [starts, ends] = [this.#starts, this.#ends];
    const from = this.#here;
    let count = 0;
    do {
      const end = endOfValue(this.#text, this.#here);
      // Nothing stands where a value should: what has not been parsed yet may be anything.
      if (end === this.#here) return false;
      starts[count] = this.#here;
      ends[count++] = end;
      this.#goOn(end);
    } while (this.#more && count < atOnce);
    const values = parseList(this.#text, from, ends[count - 1] ?? from);
    if (values.length !== count) return false;
    for (let place = 0; place < count; place++) this.#take(values[place], starts[place] ?? 0, ends[place] ?? 0);
    return true;
  }

  #take(value: unknown, start: number, end: number): void {
    const id = idOf(value, this.#text, start);
    if (id !== undefined) {
      this.#add(new ParsedEvent(id, this.#sheet, start, end, value as AuditEvent['value']));
      return;
    }
    const begins = printable(this.#text.toString('utf8', start, Math.min(end, start + 240)), 60);
    this.#problem ??= `event ${this.#index} has no integer id: ${begins}`;
    this.#index++;
  }

  #add(event: CutEvent): void {
    if (this.#last !== undefined && event.id <= this.#last) this.#sorted = false;
    this.#last = event.id;
    this.#events.push(event);
    this.#index++;
  }

  /** From the end of a value to the next one. */
  #goOn(end: number): void {
    this.#here = skipSpace(this.#text, end);
    this.#more = this.#text[this.#here] === comma;
    if (this.#more) this.#here = skipSpace(this.#text, this.#here + 1);
  }
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

/** The id of the event that begins at `at` with all its digits, or undefined where it has no integer one. */
function idOf(value: unknown, text: Buffer, at = 0): Cursor | undefined {
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
