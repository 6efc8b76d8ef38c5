import { type Text, unproved } from '../event/strict-json.ts';

const zero = 0x30;
const dash = 0x2d;
const colon = 0x3a;
const point = 0x2e;
const letterT = 0x54;
const letterZ = 0x5a;
/** `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
const longest = 24;
/** Before it Date.UTC takes a year for one of the twentieth century. */
const firstYear = 100;
const lastYear = 9999;
/** Stands for a byte that is no digit: what is made of it is more than any part of a time. */
const noDigit = 10_000;

/**
 * Reads times in the one form the API documents: UTC, with or without milliseconds (RFC 3339 section 5.6). Gives what
 * Date.parse gives, without a string for it; what it does not read, Date.parse may.
 */
export class TimeReader {
  readonly #text: Text;
  /** The date read last as it stood in the text, and when that day began: most events are of their predecessor's. */
  #year = 0;
  #month = 0;
  #day = 0;
  #dayMs = Number.NaN;
  /** One number that can be written over: a field would be a new object each time. */
  readonly #ms = new Float64Array(1);

  constructor(text: Text) {
    this.#text = text;
  }

  /** What was read last, milliseconds since the epoch. */
  get ms(): number {
    return this.#ms[0] ?? Number.NaN;
  }

  /** Offset behind the time that begins at `at`, or `unproved`. */
  read(at: number): number {
    const { bytes, view } = this.#text;
    if (at + longest > bytes.length) return unproved;
    const year = view.getInt32(at, true);
    const month = view.getInt32(at + 4, true);
    const day = view.getInt16(at + 8, true);
    if (year !== this.#year || month !== this.#month || day !== this.#day) {
      this.#dayMs = dayAt(bytes, at);
      this.#year = year;
      this.#month = month;
      this.#day = day;
    }
    const hours = twoDigits(bytes, at + 11);
    const minutes = twoDigits(bytes, at + 14);
    const seconds = twoDigits(bytes, at + 17);
    const isTime = hours < 24 && minutes < 60 && seconds < 60;
    if (!isTime || bytes[at + 10] !== letterT || bytes[at + 13] !== colon || bytes[at + 16] !== colon) return unproved;
    let end = at + 19;
    let millis = 0;
    if (bytes[end] === point) {
      millis = twoDigits(bytes, end + 1) * 10 + digit(bytes, end + 3);
      if (millis > 999) return unproved;
      end += 4;
    }
    const ms = this.#dayMs + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
    this.#ms[0] = ms;
    return bytes[end] === letterZ && !Number.isNaN(ms) ? end + 1 : unproved;
  }
}

/** When the day of the date at `at` begins, milliseconds since the epoch; NaN where there is no such day. */
function dayAt(bytes: Uint8Array, at: number): number {
  if (bytes[at + 4] !== dash || bytes[at + 7] !== dash) return Number.NaN;
  const year = twoDigits(bytes, at) * 100 + twoDigits(bytes, at + 2);
  const month = twoDigits(bytes, at + 5);
  const day = twoDigits(bytes, at + 8);
  const date = new Date(Date.UTC(year, month - 1, day));
  const exists = year >= firstYear && year <= lastYear && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return exists ? date.getTime() : Number.NaN;
}

function twoDigits(bytes: Uint8Array, at: number): number {
  return digit(bytes, at) * 10 + digit(bytes, at + 1);
}

function digit(bytes: Uint8Array, at: number): number {
  const value = (bytes[at] ?? 0) - zero;
  return value >= 0 && value <= 9 ? value : noDigit;
}
