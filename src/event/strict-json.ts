/**
 * Finds where a JSON value ends and proves on the way that it is one, without making anything of it (RFC 8259). What these
 * functions pass, JSON.parse takes; the other way round only nests deeper than `deepest` are left out. Strings are read four
 * bytes at a time, which is why a view of the same bytes comes along.
 */

/** UTF-8. */
export interface Text {
  readonly bytes: Uint8Array;
  /** A view of the same bytes. */
  readonly view: DataView;
}

/** Stands for an offset where the text is no JSON, or none that is proved here. */
export const unproved = -1;

/** The stack is not the place for somebody else's nests. */
const deepest = 32;

const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;
const zero = 0x30;
const one = 0x31;
const nine = 0x39;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const colon = 0x3a;
const comma = 0x2c;
const blank = 0x20;
const letterU = 0x75;

export function textOf(bytes: Uint8Array): Text {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Offset behind the value at `at`, or `unproved`. */
export function endOfProved(text: Text, at: number, depth = 0): number {
  const first = text.bytes[at];
  if (first === quote) return endOfProvedString(text, at);
  if (first === openBrace) return depth === deepest ? unproved : endOfObject(text, at, depth + 1);
  if (first === openBracket) return depth === deepest ? unproved : endOfArray(text, at, depth + 1);
  return endOfScalar(text.bytes, at);
}

/** Offset behind the string whose first quote is at `at`, or `unproved`. */
export function endOfProvedString(text: Text, at: number): number {
  const { bytes } = text;
  let here = at;
  for (;;) {
    here = endOfPlain(text, here + 1);
    const byte = bytes[here];
    if (byte === quote) return here + 1;
    if (byte !== backslash) return unproved;
    // Of an escape the last byte: with it the next turn begins behind.
    here = bytes[here + 1] === letterU ? lastOfCode(bytes, here + 2) : isEscape(bytes[here + 1]) ? here + 1 : unproved;
    if (here === unproved) return unproved;
  }
}

/** Offset of the first byte at or behind `at` that is a quote, a backslash or a control character, or of the text's end. */
export function endOfPlain({ bytes, view }: Text, at: number): number {
  let here = at;
  for (const last = bytes.length - 4; here <= last; here += 4) {
    const word = view.getInt32(here, true);
    // A byte's top bit ends up set in the difference where the byte was less than what is taken off: as it stands for
    // backslashes turned into 0, and for quotes and controls with the quote (0x22) and the blank (0x20) changed about. The
    // borrow can make the byte above a false find, never one below the first: that one is right.
    const found = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101)) & ~word & 0x80808080;
    if (found !== 0) return here + ((31 - Math.clz32(found & -found)) >> 3);
  }
  for (; here < bytes.length; here++) {
    const byte = bytes[here] ?? 0;
    if (byte === quote || byte === backslash || byte < blank) return here;
  }
  return here;
}

/** Offset of the first byte at or behind `at` that is no JSON whitespace. */
export function afterSpace(bytes: Uint8Array, at: number): number {
  let here = at;
  for (let byte = bytes[here]; byte === blank || byte === 0x0a || byte === 0x0d || byte === 0x09; )
    byte = bytes[++here];
  return here;
}

function endOfObject(text: Text, at: number, depth: number): number {
  const { bytes } = text;
  let here = afterSpace(bytes, at + 1);
  if (bytes[here] === closeBrace) return here + 1;
  for (;;) {
    if (bytes[here] !== quote) return unproved;
    here = endOfProvedString(text, here);
    if (here === unproved) return unproved;
    here = afterSpace(bytes, here);
    if (bytes[here] !== colon) return unproved;
    here = endOfProved(text, afterSpace(bytes, here + 1), depth);
    if (here === unproved) return unproved;
    here = afterSpace(bytes, here);
    if (bytes[here] === closeBrace) return here + 1;
    if (bytes[here] !== comma) return unproved;
    here = afterSpace(bytes, here + 1);
  }
}

function endOfArray(text: Text, at: number, depth: number): number {
  const { bytes } = text;
  let here = afterSpace(bytes, at + 1);
  if (bytes[here] === closeBracket) return here + 1;
  for (;;) {
    here = endOfProved(text, here, depth);
    if (here === unproved) return unproved;
    here = afterSpace(bytes, here);
    if (bytes[here] === closeBracket) return here + 1;
    if (bytes[here] !== comma) return unproved;
    here = afterSpace(bytes, here + 1);
  }
}

function endOfScalar(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first === 0x74) return isWord(bytes, at + 1, 0x72, 0x75, 0x65) ? at + 4 : unproved;
  if (first === 0x6e) return isWord(bytes, at + 1, 0x75, 0x6c, 0x6c) ? at + 4 : unproved;
  if (first === 0x66) return bytes[at + 1] === 0x61 && isWord(bytes, at + 2, 0x6c, 0x73, 0x65) ? at + 5 : unproved;
  return endOfNumber(bytes, at);
}

/** Whether these three bytes stand at `at`. */
function isWord(bytes: Uint8Array, at: number, first: number, second: number, third: number): boolean {
  return bytes[at] === first && bytes[at + 1] === second && bytes[at + 2] === third;
}

/** RFC 8259 section 6. */
function endOfNumber(bytes: Uint8Array, at: number): number {
  let here = at;
  if (bytes[here] === minus) here++;
  if (bytes[here] === zero) here++;
  else if (isDigit(bytes[here], one)) here = afterDigits(bytes, here);
  else return unproved;
  if (bytes[here] === 0x2e) {
    if (!isDigit(bytes[here + 1])) return unproved;
    here = afterDigits(bytes, here + 1);
  }
  if (((bytes[here] ?? 0) | blank) !== 0x65) return here;
  here++;
  if (bytes[here] === 0x2b || bytes[here] === minus) here++;
  return isDigit(bytes[here]) ? afterDigits(bytes, here) : unproved;
}

function afterDigits(bytes: Uint8Array, at: number): number {
  let here = at;
  while (isDigit(bytes[here])) here++;
  return here;
}

function isDigit(byte: number | undefined, least = zero): boolean {
  return byte !== undefined && byte >= least && byte <= nine;
}

/** Whether the byte may follow a backslash: one of `"\/bfnrt`. */
function isEscape(byte: number | undefined): boolean {
  switch (byte) {
    case quote:
    case backslash:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case letterU - 1:
      return true;
    default:
      return false;
  }
}

/** Offset of the last of the four hexadecimal digits that begin at `at`, or `unproved`. */
function lastOfCode(bytes: Uint8Array, at: number): number {
  for (let here = at; here < at + 4; here++) {
    const byte = bytes[here];
    const letter = (byte ?? 0) | blank;
    if (!isDigit(byte) && !(letter >= 0x61 && letter <= 0x66)) return unproved;
  }
  return at + 3;
}
