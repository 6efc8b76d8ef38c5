/**
 * Finds ranges in JSON text without parsing it: the end of a value, the members of an object, the elements of an array. One
 * pass, no recursion, no copies. The text must be valid JSON: nothing is checked here. (Bytes below 0x80 mean in UTF-8 what
 * they mean in ASCII.)
 */

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
/** The bit by which `[` differs from `{`, and `]` from `}`. */
const braceBit = 0x20;

/**
 * Called for a member: its raw key with the quotes, and where its value begins. A visitor that scanned the value returns the
 * offset behind it, and it is not scanned again.
 */
type OnMember = (keyAt: number, keyEnd: number, valueAt: number) => number | undefined;
/** Called for an element that begins at `at`; `index` counts from 0. Returns the same as `OnMember`. */
type OnElement = (at: number, index: number) => number | undefined;

/** Offset behind the value that begins at `at`. */
export function endOfValue(text: Uint8Array, at: number): number {
  const first = text[at];
  if (first === quote) return endOfString(text, at);
  if (first === openBrace || first === openBracket) return endOfNest(text, at);
  let end = at;
  while (end < text.length && !endsScalar(text[end])) end++;
  return end;
}

/**
 * Visits the members of the object that begins at `at`, in order, repeated keys included. Returns the offset behind the
 * object.
 */
export function eachMember(text: Uint8Array, at: number, visit: OnMember): number {
  let here = skipSpace(text, at + 1);
  while (here < text.length && text[here] !== closeBrace) {
    const keyEnd = endOfString(text, here);
    const valueAt = skipSpace(text, skipSpace(text, keyEnd) + 1);
    here = afterItem(text, visit(here, keyEnd, valueAt) ?? endOfValue(text, valueAt));
  }
  return here + 1;
}

/** Visits the elements of the array that begins at `at`, in order. Returns the offset behind the array. */
export function eachElement(text: Uint8Array, at: number, visit: OnElement): number {
  let here = skipSpace(text, at + 1);
  for (let index = 0; here < text.length && text[here] !== closeBracket; index++) {
    here = afterItem(text, visit(here, index) ?? endOfValue(text, here));
  }
  return here + 1;
}

/** Offset of the first byte at or behind `at` that is not JSON whitespace. */
export function skipSpace(text: Uint8Array, at: number): number {
  let here = at;
  while (isSpace(text[here])) here++;
  return here;
}

/** The content of the JSON string from `at` to `end` (quotes included), with escapes decoded. */
export function decodeString(text: Buffer, at: number, end: number): string {
  const raw = text.toString('utf8', at + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
}

function afterItem(text: Uint8Array, end: number): number {
  const here = skipSpace(text, end);
  return text[here] === comma ? skipSpace(text, here + 1) : here;
}

function endOfString(text: Uint8Array, at: number): number {
  const { length } = text;
  let here = at + 1;
  while (here < length) {
    const byte = text[here++];
    if (byte === quote) return here;
    if (byte === backslash) here++;
  }
  return length;
}

function endOfNest(text: Uint8Array, at: number): number {
  const { length } = text;
  let depth = 0;
  let here = at;
  while (here < length) {
    const byte = text[here++] ?? 0;
    if (byte === quote) {
      while (here < length) {
        const inner = text[here++];
        if (inner === quote) break;
        if (inner === backslash) here++;
      }
    } else if ((byte | braceBit) === openBrace) depth++;
    else if ((byte | braceBit) === closeBrace && --depth === 0) return here;
  }
  return length;
}

function endsScalar(byte: number | undefined): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte);
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
