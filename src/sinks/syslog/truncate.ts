import { onOneLine } from '../../event/escape.ts';
import { type AuditEvent, auditEvent } from '../../event/event.ts';
import { cutLiteral, type EventSpans, eventSpans, type Span } from './json-spans.ts';

const shortestFloor = 34;
/** What may be cut, in this order, and the bytes (quotes included) that it is never cut below. */
const stages: readonly { readonly of: (spans: EventSpans) => readonly Span[]; readonly floorBytes: number }[] = [
  { of: (spans) => spans.metaStrings, floorBytes: shortestFloor },
  { of: (spans) => spans.userAgent, floorBytes: shortestFloor },
  { of: (spans) => spans.otherStrings, floorBytes: 66 },
  { of: (spans) => spans.metaMembers, floorBytes: shortestFloor },
];
const attemptsPerStage = 8;
const marker = ',"truncated":true';

/**
 * A message of at most `maxBytes`, made of the event with its longest values cut: strings in `meta` first, then
 * `userAgent`, then other strings, at last whole members of `meta` (written as a string that holds the start of their
 * JSON). The event made so is valid JSON and carries `"truncated": true`; `compose` encodes it and puts the header before.
 * Undefined where it does not fit even so.
 */
export function truncate<Message extends { readonly length: number }>(
  shown: AuditEvent,
  maxBytes: number,
  compose: (event: AuditEvent) => Message,
): Message | undefined {
  const { id, receivedAtMs } = shown;
  let text = onOneLine(shown.text.toString('utf8'));
  let spans = eventSpans(text, shortestFloor);
  let size = Number.POSITIVE_INFINITY;
  let excess = Math.max(1, Buffer.byteLength(text, 'utf8') - maxBytes) + marker.length;
  let isMarked = false;
  for (const stage of stages) {
    let gain = 1;
    for (let attempt = 1; attempt <= attemptsPerStage; attempt++) {
      const need = attempt === attemptsPerStage ? Number.POSITIVE_INFINITY : Math.ceil(excess / gain);
      const cut = cutLongest(text, stage.of(spans), need, stage.floorBytes);
      if (cut === undefined) break;
      text = isMarked ? cut.text : marked(cut.text);
      isMarked = true;
      const message = compose(auditEvent({ id, receivedAtMs, text: Buffer.from(text, 'utf8') }));
      if (message.length <= maxBytes) return message;
      // Cutting n bytes of the text may free more or fewer in a record that escapes otherwise, or leaves a field out.
      if (Number.isFinite(size)) gain = Math.min(1, Math.max(0.05, (size - message.length) / cut.bytes));
      size = message.length;
      excess = size - maxBytes;
      spans = eventSpans(text, shortestFloor);
    }
  }
  return undefined;
}

/** Cuts the longest of `spans` down to one level, so that at least `need` bytes go; undefined where nothing can go. */
function cutLongest(text: string, spans: readonly Span[], need: number, floor: number) {
  const sized = spans.map((span) => ({ span, bytes: Buffer.byteLength(text.slice(span.start, span.end), 'utf8') }));
  const long = sized.filter(({ bytes }) => bytes > floor);
  if (long.length === 0) return undefined;
  const level = levelFor(
    long.map(({ bytes }) => bytes),
    need,
    floor,
  );
  let out = '';
  let from = 0;
  let gone = 0;
  for (const { span, bytes } of long) {
    if (bytes <= level) continue;
    const source = text.slice(span.start, span.end);
    const literal = cutLiteral(source.startsWith('"') ? source : JSON.stringify(source), level);
    out += text.slice(from, span.start) + literal;
    from = span.end;
    gone += bytes - Buffer.byteLength(literal, 'utf8');
  }
  return { text: out + text.slice(from), bytes: Math.max(1, gone) };
}

/** The highest level at which what stands above it sums up to `need`, or `floor`. */
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

function marked(text: string): string {
  const { truncated, close } = eventSpans(text, Number.POSITIVE_INFINITY);
  if (truncated !== undefined) return `${text.slice(0, truncated.start)}true${text.slice(truncated.end)}`;
  return text.slice(0, close) + marker + text.slice(close);
}
