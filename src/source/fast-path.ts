import type { Places } from '../event/rows.ts';
import {
  afterSpace,
  endOfPlain,
  endOfProved,
  endOfProvedString,
  type Text,
  textOf,
  unproved,
} from '../event/strict-json.ts';
import { TimeReader } from './time-reader.ts';

const quote = 0x22;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const blank = 0x20;
const zero = 0x30;
const nine = 0x39;

/** Four bytes as a view gives them in little-endian order. */
const word = (four: string) => Buffer.from(four, 'latin1').readInt32LE();
const half = (two: string) => Buffer.from(two, 'latin1').readInt16LE();

/** The keys in pieces: of one longer than a word the last piece overlaps the one before. */
const idKey = word('id":');
const ipKey = word('ip":');
const metaKey = word('meta');
const nameKey = word('name');
const userKey = word('user');
const [agentMiddle, agentEnd] = [word('Agen'), word('nt":')];
const [actionKey, actionEnd] = [word('acti'), word('on":')];
const [createdKey, createdMiddle, createdEnd] = [word('crea'), word('tedA'), word('At":')];
const [emailKey, emailEnd] = [word('emai'), word('il":')];
const keyEnd = half('":');
const none = word('null');

/** So much lies behind a key's first quote in any event: no look ahead leaves the page. */
const lookAhead = 12;
/** Digits of an integer that is exact as a number. */
const mostDigits = 15;

const seenId = 1;
const seenUser = 2;
const seenAction = 4;
const seenIp = 8;
const seenAgent = 16;
const seenCreated = 32;
const seenMeta = 64;
const required = seenId | seenUser | seenAction | seenIp | seenAgent | seenCreated;
const seenName = 2;
const seenEmail = 4;
const ofUser = seenId | seenName | seenEmail;

/**
 * Reads events that are just as the API documents them, without making values of them: proves each to be JSON and keeps
 * where its parts stand. All else (unknown, missing or doubled members, escapes in what is wanted as text, other ways to
 * write a time) it leaves to a parser. After `read` said yes, its fields are about that event.
 */
export class DocumentedReader implements Places {
  id = 0;
  from = 0;
  to = 0;
  idAt = 0;
  idEnd = 0;
  timeAt = 0;
  timeEnd = 0;
  actionAt = 0;
  actionEnd = 0;
  userAt = 0;
  userEnd = 0;
  ipAt = 0;
  ipEnd = 0;
  readonly #text: Text;
  readonly #time: TimeReader;
  /** What the methods below have found last, besides where it ends. */
  #plainAt = 0;
  #number = 0;
  #numberAt = 0;

  /** `bytes` is UTF-8. */
  constructor(bytes: Uint8Array) {
    this.#text = textOf(bytes);
    this.#time = new TimeReader(this.#text);
  }

  get createdAtMs(): number {
    return this.#time.ms;
  }

  /** Whether what begins at `at` is an event as documented. */
  read(at: number): boolean {
    const { bytes, view } = this.#text;
    if (bytes[at] !== openBrace) return false;
    let here = at;
    let seen = 0;
    do {
      here = this.#behind(here + 1);
      if (bytes[here] !== quote || here + lookAhead > bytes.length) return false;
      let member = 0;
      switch (view.getInt32(here + 1, true)) {
        case idKey:
          member = seenId;
          here = this.#integer(here + 5);
          this.id = this.#number;
          this.idAt = this.#numberAt;
          this.idEnd = here;
          break;
        case userKey:
          if (view.getInt16(here + 5, true) === keyEnd) {
            member = seenUser;
            here = this.#user(this.#behind(here + 7));
          } else if (view.getInt32(here + 5, true) === agentMiddle && view.getInt32(here + 8, true) === agentEnd) {
            member = seenAgent;
            here = this.#string(here + 12);
          }
          break;
        case actionKey:
          if (view.getInt32(here + 5, true) !== actionEnd) return false;
          member = seenAction;
          here = this.#plain(here + 9);
          this.actionAt = this.#plainAt;
          this.actionEnd = here - 1;
          break;
        case ipKey:
          member = seenIp;
          here = this.#plain(here + 5);
          this.ipAt = this.#plainAt;
          this.ipEnd = here - 1;
          break;
        case createdKey:
          if (view.getInt32(here + 5, true) !== createdMiddle || view.getInt32(here + 8, true) !== createdEnd)
            return false;
          member = seenCreated;
          here = this.#createdAt(here + 12);
          break;
        case metaKey:
          if (view.getInt16(here + 5, true) !== keyEnd) return false;
          member = seenMeta;
          here = this.#object(here + 7);
          break;
      }
      if (here === unproved || member === 0 || (seen & member) !== 0) return false;
      seen |= member;
      here = this.#behind(here);
    } while (bytes[here] === comma);
    if (bytes[here] !== closeBrace || (seen & required) !== required) return false;
    this.from = at;
    this.to = here + 1;
    return true;
  }

  /** A user with a mail address, which is what tells it best. */
  #user(at: number): number {
    const { bytes, view } = this.#text;
    this.userAt = at;
    this.userEnd = at;
    if (bytes[at] !== openBrace)
      return at + lookAhead <= bytes.length && view.getInt32(at, true) === none ? at + 4 : unproved;
    let here = at;
    let seen = 0;
    do {
      here = this.#behind(here + 1);
      if (bytes[here] !== quote || here + lookAhead > bytes.length) return unproved;
      let member = 0;
      switch (view.getInt32(here + 1, true)) {
        case idKey:
          member = seenId;
          here = this.#integer(here + 5);
          break;
        case nameKey:
          if (view.getInt16(here + 5, true) !== keyEnd) return unproved;
          member = seenName;
          here = this.#string(here + 7);
          break;
        case emailKey:
          if (view.getInt32(here + 4, true) !== emailEnd) return unproved;
          member = seenEmail;
          here = this.#plain(here + 8);
          this.userAt = this.#plainAt;
          this.userEnd = here - 1;
          break;
      }
      if (here === unproved || member === 0 || (seen & member) !== 0) return unproved;
      seen |= member;
      here = this.#behind(here);
    } while (bytes[here] === comma);
    return bytes[here] === closeBrace && seen === ofUser && this.userEnd > this.userAt ? here + 1 : unproved;
  }

  /** Offset behind white space, of which there is none as a rule. */
  #behind(at: number): number {
    const { bytes } = this.#text;
    return (bytes[at] ?? 0) > blank ? at : afterSpace(bytes, at);
  }

  #string(at: number): number {
    const start = this.#behind(at);
    return this.#text.bytes[start] === quote ? endOfProvedString(this.#text, start) : unproved;
  }

  #object(at: number): number {
    const start = this.#behind(at);
    return this.#text.bytes[start] === openBrace ? endOfProved(this.#text, start) : unproved;
  }

  /** Offset behind a string without escapes, whose content begins at `#plainAt`. */
  #plain(at: number): number {
    const { bytes } = this.#text;
    const start = this.#behind(at);
    if (bytes[start] !== quote) return unproved;
    this.#plainAt = start + 1;
    const end = endOfPlain(this.#text, start + 1);
    return bytes[end] === quote ? end + 1 : unproved;
  }

  /** Offset behind an integer, neither negative nor longer than `mostDigits`, which is then `#number` and begins at `#numberAt`. */
  #integer(at: number): number {
    const { bytes } = this.#text;
    const start = this.#behind(at);
    let here = start;
    let number = 0;
    for (let byte = bytes[here] ?? 0; byte >= zero && byte <= nine; byte = bytes[++here] ?? 0)
      number = number * 10 + byte - zero;
    const digits = here - start;
    if (digits === 0 || digits > mostDigits || (digits > 1 && bytes[start] === zero)) return unproved;
    this.#number = number;
    this.#numberAt = start;
    return here;
  }

  #createdAt(at: number): number {
    const start = this.#behind(at);
    if (this.#text.bytes[start] !== quote) return unproved;
    const end = this.#time.read(start + 1);
    if (end === unproved || this.#text.bytes[end] !== quote) return unproved;
    this.timeAt = start + 1;
    this.timeEnd = end;
    return end + 1;
  }
}
