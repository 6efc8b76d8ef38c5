/**
 * Ranges inside JSON text, without parsing it again: where a value ends, the members of an object, the elements of an
 * array. One pass, no recursion, nothing copied. The text must have passed JSON.parse before: nothing is checked here.
 * (Bytes below 0x80 mean in UTF-8 what they mean in ASCII, and invalid UTF-8 is only possible inside a string.)
 */

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
/** `[` and `{` (and `]` and `}`) are this bit apart. */
const braceBit = 0x20;

/** What is done with a member: `key` is the raw key with its quotes, `valueAt` where its value begins. */
export type OnMember = (keyAt: number, keyEnd: number, valueAt: number) => number | undefined;
/** What is done with an element: `at` is where it begins, `index` counts from 0. */
export type OnElement = (at: number, index: number) => number | undefined;

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
 * Visits the members of the object that begins at `at`, in order, doubled keys too. A visitor that walked the value
 * itself returns the offset behind it, and it is not scanned again. Returns the offset behind the object.
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

/** Visits the elements of the array that begins at `at`, as `eachMember` does members. */
export function eachElement(text: Uint8Array, at: number, visit: OnElement): number {
  let here = skipSpace(text, at + 1);
  for (let index = 0; here < text.length && text[here] !== closeBracket; index++) {
    here = afterItem(text, visit(here, index) ?? endOfValue(text, here));
  }
  return here + 1;
}

/** Offset of the first byte at or behind `at` that is no JSON whitespace. */
export function skipSpace(text: Uint8Array, at: number): number {
  let here = at;
  while (isSpace(text[here])) here++;
  return here;
}

/** The content of the JSON string in `text` from `at` to `end`, its quotes included, with escapes decoded. */
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
