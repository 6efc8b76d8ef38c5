/** A stretch of a JSON text, UTF-16 offsets. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the values of an event stand in its text: those alone that are long enough to be worth cutting. */
export interface EventSpans {
  /** String literals that are values, with their quotes. */
  readonly metaStrings: readonly Span[];
  readonly userAgent: readonly Span[];
  readonly otherStrings: readonly Span[];
  /** The members of `meta`, strings and others. */
  readonly metaMembers: readonly Span[];
  /** The value of a top-level `truncated`, where there is one. */
  readonly truncated: Span | undefined;
  /** Offset of the object's closing brace. */
  readonly close: number;
}

/**
 * Walks the text of one JSON object, which must be valid; linear, and flat however deep the nesting. Values of at most
 * `shortBytes` are passed over: a hostile event may hold millions.
 */
export function eventSpans(text: string, shortBytes: number): EventSpans {
  const metaStrings: Span[] = [];
  const userAgent: Span[] = [];
  const otherStrings: Span[] = [];
  const metaMembers: Span[] = [];
  let truncated: Span | undefined;
  let close = text.length;
  let depth = 0;
  let top = '';
  let valueStart = -1;
  let metaIsArray = false;

  const endMember = (at: number) => {
    if (valueStart < 0) return;
    const span = trimmed(text, valueStart, at);
    if (span.end > span.start) {
      if (depth === 1 && top === 'truncated') truncated = span;
      if (depth === 2 && isLong(text, span, shortBytes)) metaMembers.push(span);
    }
    valueStart = -1;
  };

  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = literalEnd(text, at);
        const next = skipBlank(text, end);
        if (text.charCodeAt(next) === 0x3a) {
          if (depth === 1) top = JSON.parse(text.slice(at, end)) as string;
          if (depth === 1 || (depth === 2 && top === 'meta')) valueStart = next + 1;
          at = next;
        } else {
          const group = top === 'meta' ? metaStrings : depth === 1 && top === 'userAgent' ? userAgent : otherStrings;
          if (isLong(text, { start: at, end }, shortBytes)) group.push({ start: at, end });
          at = end - 1;
        }
        break;
      }
      case 0x5b: // [
      case 0x7b: // {
        depth++;
        if (depth === 2 && top === 'meta') {
          metaIsArray = text.charCodeAt(at) === 0x5b;
          valueStart = metaIsArray ? at + 1 : -1;
        }
        break;
      case 0x5d: // ]
      case 0x7d: // }
        if (depth === 1 || (depth === 2 && top === 'meta')) endMember(at);
        depth--;
        if (depth === 0) close = at;
        break;
      case 0x2c: // ,
        if (depth === 1 || (depth === 2 && top === 'meta')) {
          endMember(at);
          if (depth === 2 && metaIsArray) valueStart = at + 1;
        }
        break;
    }
  }
  return { metaStrings, userAgent, otherStrings, metaMembers, truncated, close };
}

/** Whether the span has more than `shortBytes` of UTF-8, of which a UTF-16 unit has one to three. */
function isLong(text: string, { start, end }: Span, shortBytes: number): boolean {
  if (end - start > shortBytes) return true;
  return (end - start) * 3 > shortBytes && Buffer.byteLength(text.slice(start, end), 'utf8') > shortBytes;
}

/** Offset behind the closing quote of the literal that starts at `start`. */
function literalEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at + 1;
  }
  return text.length;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return at;
}

function trimmed(text: string, start: number, end: number): Span {
  const from = skipBlank(text, start);
  let to = end;
  while (to > from && text.charCodeAt(to - 1) <= 0x20) to--;
  return { start: from, end: to };
}

/** A string literal cut to at most `maxBytes` of UTF-8, quotes included: at a code point, never inside an escape. */
export function cutLiteral(literal: string, maxBytes: number): string {
  let bytes = 2;
  let at = 1;
  while (at < literal.length - 1) {
    const next = tokenEnd(literal, at);
    bytes += Buffer.byteLength(literal.slice(at, next), 'utf8');
    if (bytes > maxBytes) break;
    at = next;
  }
  return `${literal.slice(0, at)}"`;
}

/** End of the code point that starts at `at` in a literal; a surrogate pair written as two escapes is one. */
function tokenEnd(literal: string, at: number): number {
  if (literal.charCodeAt(at) !== 0x5c) return at + ((literal.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
  if (literal.charAt(at + 1) !== 'u') return at + 2;
  const pair = /^\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}$/.test(literal.slice(at, at + 12));
  return at + (pair ? 12 : 6);
}
