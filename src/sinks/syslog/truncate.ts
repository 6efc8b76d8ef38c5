/**
 * Shortens events that are too long for one message. Above 250 lines with its parts: one algorithm.
 *
 * The text of the event is reduced in stages. Each stage takes from the largest parts first, and only as much as needed; the
 * next stage runs if that is not enough:
 *
 * 1. strings inside `meta`; 2. `userAgent`; 3. other strings: cut at a character
 * 4. members of `meta`, unknown members of `user` and of the event: replaced by a string with the start of their JSON
 * 5. the same members: dropped
 * 6. every member but `id`: dropped
 *
 * What remains is valid JSON with `"truncated":true`, and `"dropped":[…]` with the names of what was dropped. How many bytes
 * a format makes of a part is not known beforehand, so each step encodes the event and estimates the rest from the result.
 */

import { onOneLine } from '../../event/escape.ts';
import { type AuditEvent, auditEvent } from '../../event/event.ts';
import { decodeString, eachElement, eachMember, endOfValue, skipSpace } from '../../event/json-scan.ts';

/** Byte offsets in a JSON text. */
interface Span {
  readonly start: number;
  readonly end: number;
}

interface Member {
  /** `meta.list`. */
  readonly path: string;
  /** From the key's quote to the end of the value. */
  readonly whole: Span;
  readonly value: Span;
}

/** The parts of an event's text. */
interface Layout {
  /** String literals that are values, with their quotes. */
  readonly metaStrings: Span[];
  readonly userAgent: Span[];
  readonly otherStrings: Span[];
  /** What `meta` and `user` hold besides the documented members, and the event's own unknown members. */
  readonly optional: Member[];
  /** Elements of a `meta` that is a list. */
  readonly metaElements: Span[];
  readonly topLevel: Member[];
  readonly truncated: Span | undefined;
  /** Offset of the closing brace. */
  readonly close: number;
}

const documented = new Set(['id', 'user', 'action', 'ip', 'userAgent', 'createdAt', 'meta', 'truncated']);
const documentedOfUser = new Set(['id', 'name', 'email']);

const quote = 0x22;
const colon = 0x3a;
const openBracket = 0x5b;
const openBrace = 0x7b;

/** A part is not cut below this, bytes with quotes. */
const minBytes = 34;
const minOtherBytes = 66;
const attemptsPerStage = 8;

/** Returns a shorter text, `need` bytes shorter if it can; undefined if it has nothing to take. Adds to `dropped`. */
type Stage = (text: Buffer, need: number, dropped: string[]) => Buffer | undefined;

const cut =
  (parts: (layout: Layout) => readonly Span[], floor: number): Stage =>
  (text, need) =>
    cutLongest(text, parts(layoutOf(text)), need, floor);

const drop =
  (parts: (layout: Layout) => readonly Member[]): Stage =>
  (text, need, dropped) =>
    dropLargest(text, parts(layoutOf(text)), need, dropped);

const stages: readonly Stage[] = [
  cut(({ metaStrings }) => metaStrings, minBytes),
  cut(({ userAgent }) => userAgent, minBytes),
  cut(({ otherStrings }) => otherStrings, minOtherBytes),
  cut(({ optional, metaElements }) => [...optional.map(({ value }) => value), ...metaElements], minBytes),
  drop(({ optional }) => optional),
  drop(({ topLevel }) => topLevel.filter(({ path }) => path !== 'id')),
];

/**
 * A message of at most `maxBytes` made of the shortened event; undefined if even its id does not fit. `compose` encodes an
 * event and puts the header before it.
 */
export function truncate<Message extends { readonly length: number }>(
  event: AuditEvent,
  maxBytes: number,
  compose: (shortened: AuditEvent) => Message,
): Message | undefined {
  const { id, receivedAtMs } = event;
  const dropped: string[] = [];
  let text: Buffer = Buffer.from(onOneLine(event.text.toString('utf8')));
  let size = Number.POSITIVE_INFINITY;
  let excess = Math.max(1, text.length - maxBytes) + truncatedMarker.length;
  for (const stage of stages) {
    let gain = 1;
    for (let attempt = 1; attempt <= attemptsPerStage; attempt++) {
      const need = attempt === attemptsPerStage ? Number.POSITIVE_INFINITY : Math.ceil(excess / gain);
      const shorter = stage(text, need, dropped);
      if (shorter === undefined) break;
      const freed = Math.max(1, text.length - shorter.length);
      text = shorter;
      const marked = withMarkers(text, dropped, maxBytes);
      const message = compose(auditEvent({ id, receivedAtMs, text: marked }));
      if (message.length <= maxBytes) return message;
      // A byte less of the text may be more or fewer of the record: formats escape, or leave a member out.
      if (Number.isFinite(size)) gain = Math.min(1, Math.max(0.05, (size - message.length) / freed));
      size = message.length;
      excess = size - maxBytes;
    }
  }
  return undefined;
}

/** Linear, and without recursion however deep the nesting: a hostile event may hold millions of values. */
function layoutOf(text: Buffer): Layout {
  const layout = {
    metaStrings: [] as Span[],
    userAgent: [] as Span[],
    otherStrings: [] as Span[],
    optional: [] as Member[],
    metaElements: [] as Span[],
    topLevel: [] as Member[],
  };
  let truncated: Span | undefined;
  const end = eachMember(text, skipSpace(text, 0), (keyAt, keyEnd, valueAt) => {
    const path = decodeString(text, keyAt, keyEnd);
    const value = { start: valueAt, end: endOfValue(text, valueAt) };
    const member = { path, whole: { start: keyAt, end: value.end }, value };
    if (path === 'truncated') truncated = value;
    else {
      layout.topLevel.push(member);
      if (path === 'meta') collectStrings(text, value, layout.metaStrings);
      else if (path === 'userAgent' && text[valueAt] === quote) collectStrings(text, value, layout.userAgent);
      else collectStrings(text, value, layout.otherStrings);
      if (path === 'meta' || path === 'user') collectInside(text, member, layout);
      if (!documented.has(path)) layout.optional.push(member);
    }
    return value.end;
  });
  return { ...layout, truncated, close: end - 1 };
}

/** The strings among the values of a stretch of JSON, keys left out; none that is too short to be cut. */
function collectStrings(text: Buffer, { start, end }: Span, into: Span[]): void {
  for (let at = start; at < end; ) {
    if (text[at] !== quote) {
      at++;
      continue;
    }
    const literalEnd = endOfValue(text, at);
    const next = skipSpace(text, literalEnd);
    if (text[next] !== colon && literalEnd - at > minBytes) into.push({ start: at, end: literalEnd });
    at = literalEnd;
  }
}

function collectInside(
  text: Buffer,
  { path, value }: Member,
  layout: { readonly optional: Member[]; readonly metaElements: Span[] },
): void {
  const { start } = value;
  if (text[start] === openBrace)
    eachMember(text, start, (keyAt, keyEnd, valueAt) => {
      const name = decodeString(text, keyAt, keyEnd);
      const inner = { start: valueAt, end: endOfValue(text, valueAt) };
      if (path !== 'user' || !documentedOfUser.has(name))
        layout.optional.push({ path: `${path}.${name}`, whole: { start: keyAt, end: inner.end }, value: inner });
      return inner.end;
    });
  else if (path === 'meta' && text[start] === openBracket)
    eachElement(text, start, (at) => {
      const end = endOfValue(text, at);
      layout.metaElements.push({ start: at, end });
      return end;
    });
}

/** Cuts the longest of `spans` down to one level. */
function cutLongest(text: Buffer, spans: readonly Span[], need: number, floor: number): Buffer | undefined {
  const long = spans.filter(({ start, end }) => end - start > floor).toSorted((a, b) => a.start - b.start);
  if (long.length === 0) return undefined;
  const level = levelFor(
    long.map(({ start, end }) => end - start),
    need,
    floor,
  );
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end } of long) {
    if (end - start <= level) continue;
    const source = text.toString('utf8', start, end);
    const literal = cutLiteral(text[start] === quote ? source : JSON.stringify(source), level);
    pieces.push(text.subarray(from, start), Buffer.from(literal));
    from = end;
  }
  pieces.push(text.subarray(from));
  return Buffer.concat(pieces);
}

/** The highest level at which the parts above it sum up to `need`, at least `floor`. */
function levelFor(lengths: readonly number[], need: number, floor: number): number {
  const sorted = lengths.toSorted((a, b) => b - a);
  let above = 0;
  for (let count = 1; count <= sorted.length; count++) {
    above += sorted[count - 1] ?? 0;
    const level = Math.floor((above - need) / count);
    if (level >= (sorted[count] ?? 0)) return Math.max(floor, level);
  }
  return floor;
}

/** Drops the largest of `members`. */
function dropLargest(text: Buffer, members: readonly Member[], need: number, dropped: string[]): Buffer | undefined {
  if (members.length === 0) return undefined;
  const size = ({ whole }: Member) => whole.end - whole.start + 1;
  // The marker has this name, and there must not be two.
  const isMarker = ({ path }: Member) => path === droppedName;
  const bySize = members.toSorted((a, b) => Number(isMarker(b)) - Number(isMarker(a)) || size(b) - size(a));
  const chosen = new Set<number>();
  let freed = 0;
  for (const member of bySize) {
    if (freed >= need) break;
    freed += size(member);
    chosen.add(member.whole.start);
    dropped.push(member.path);
  }
  return withoutMembers(text, skipSpace(text, 0), chosen);
}

/** The object at `at` without the members, or members of members, whose keys begin at `chosen`. */
function withoutMembers(text: Buffer, at: number, chosen: ReadonlySet<number>, isInner = false): Buffer {
  const pieces: Buffer[] = [];
  eachMember(text, at, (keyAt, _, valueAt) => {
    const end = endOfValue(text, valueAt);
    if (chosen.has(keyAt)) return end;
    const isObject = text[valueAt] === openBrace;
    const value = isObject && !isInner ? withoutMembers(text, valueAt, chosen, true) : text.subarray(valueAt, end);
    pieces.push(Buffer.from(pieces.length === 0 ? '{' : ','), text.subarray(keyAt, valueAt), value);
    return end;
  });
  return Buffer.concat([...(pieces.length === 0 ? [Buffer.from('{')] : pieces), Buffer.from('}')]);
}

const truncatedMarker = ',"truncated":true';
const droppedName = 'dropped';
const maxNameLength = 60;

/** The text with its markers. A `truncated` that the event has is overwritten. */
function withMarkers(text: Buffer, dropped: readonly string[], maxBytes: number): Buffer {
  const { truncated, close, topLevel } = layoutOf(text);
  const list = dropped.length === 0 ? '' : `,"${droppedName}":${namesOf(dropped, maxBytes)}`;
  const markers = (truncated === undefined ? truncatedMarker : '') + list;
  const end = Buffer.from(topLevel.length === 0 && truncated === undefined ? markers.slice(1) : markers);
  if (truncated === undefined) return Buffer.concat([text.subarray(0, close), end, text.subarray(close)]);
  const value = Buffer.from('true');
  const [before, between] = [text.subarray(0, truncated.start), text.subarray(truncated.end, close)];
  return Buffer.concat([before, value, between, end, text.subarray(close)]);
}

/** A JSON list of as many names as fit into a tenth of the message, then how many more there are. */
function namesOf(dropped: readonly string[], maxBytes: number): string {
  const names: string[] = [];
  let room = Math.floor(maxBytes / 10);
  for (const path of dropped) {
    const name = path.length > maxNameLength ? `${path.slice(0, maxNameLength - 1).toWellFormed()}…` : path;
    room -= Buffer.byteLength(onOneLine(JSON.stringify(name))) + 1;
    if (room < 0) break;
    names.push(name);
  }
  const more = dropped.length - names.length;
  if (more > 0) names.push(names.length === 0 ? `${more} member${more === 1 ? '' : 's'}` : `and ${more} more`);
  return onOneLine(JSON.stringify(names));
}

/** A string literal cut to at most `maxBytes` of UTF-8, quotes included: at a code point, never inside an escape. */
function cutLiteral(literal: string, maxBytes: number): string {
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
