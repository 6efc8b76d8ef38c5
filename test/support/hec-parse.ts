/** One envelope as it came, with the raw bytes of its `event` value. */
export interface Received {
  readonly raw: Buffer;
  /** The envelope's other members, parsed. */
  readonly time: unknown;
  readonly host: unknown;
  readonly source: unknown;
  readonly sourcetype: unknown;
  readonly index: unknown;
  readonly fields: unknown;
}

/** Where reading stopped: Splunk's code, and which event, counted from 0. */
export interface Refusal {
  readonly code: number;
  readonly event: number;
}

export interface Rules {
  readonly allowedIndexes?: readonly string[] | undefined;
  readonly maxEventBytes?: number | undefined;
  /** The code for an event that this collector refuses. */
  readonly refuse?: ((raw: Buffer, envelope: Readonly<Record<string, unknown>>) => number | undefined) | undefined;
}

/** Reads a body as splunkd does: envelopes in document order, up to the first invalid one. */
export function readEnvelopes(body: Buffer, rules: Rules): { events: Received[]; refusal?: Refusal } {
  const events: Received[] = [];
  let at = skipSpace(body, 0);
  // An array of envelopes is accepted too, although it is not documented.
  const array = body[at] === 0x5b;
  if (array) at++;
  for (;;) {
    at = skipSpace(body, at, array);
    if (at >= body.length || (array && body[at] === 0x5d)) return { events };
    const end = endOfValue(body, at);
    const refused = (code: number) => ({ events, refusal: { code, event: events.length } });
    if (end === undefined || body[at] !== 0x7b) return refused(6);
    let envelope: Record<string, unknown>;
    try {
      envelope = JSON.parse(body.toString('utf8', at, end));
    } catch {
      return refused(6);
    }
    const raw = memberOf(body.subarray(at, end), 'event');
    const code = codeOf(envelope, raw, rules);
    if (code !== undefined) return refused(code);
    const { time, host, source, sourcetype, index, fields } = envelope;
    events.push({ raw: Buffer.from(raw ?? []), time, host, source, sourcetype, index, fields });
    at = end;
  }
}

function codeOf(envelope: Record<string, unknown>, raw: Buffer | undefined, rules: Rules): number | undefined {
  const { event, index, fields } = envelope;
  if (raw === undefined) return 12;
  if (event === null || (typeof event === 'string' && event.trim() === '')) return 13;
  if (typeof event === 'object' && Object.keys(event).length === 0) return 13;
  const time = envelope['time'] === undefined ? undefined : String(envelope['time']);
  if (time !== undefined && !/^-?\d+(\.\d+)?$/.test(time)) return 15;
  if (fields !== undefined) {
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return 6;
    if (Object.values(fields).some((value) => typeof value === 'object' && !Array.isArray(value))) return 15;
  }
  if (index !== undefined && rules.allowedIndexes !== undefined && !rules.allowedIndexes.includes(String(index)))
    return 7;
  if (raw.length > (rules.maxEventBytes ?? 5_000_000)) return 6;
  return rules.refuse?.(raw, envelope);
}

function skipSpace(text: Buffer, from: number, comma = false): number {
  let at = from;
  while (at < text.length) {
    const byte = text[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09 && !(comma && byte === 0x2c)) break;
    at++;
  }
  return at;
}

/** The index after the JSON value that starts at `from`, or undefined if it does not end. */
function endOfValue(text: Buffer, from: number): number | undefined {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const byte = text[at];
    if (byte === 0x22) {
      at++;
      while (at < text.length && text[at] !== 0x22) at += text[at] === 0x5c ? 2 : 1;
      if (at >= text.length) return undefined;
      if (depth === 0) return at + 1;
    } else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (byte === 0x2c || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09))
      return at;
    at++;
  }
  return depth === 0 ? at : undefined;
}

/** The raw bytes of a member of the object `text`; of several, the last, as with JSON.parse. */
function memberOf(text: Buffer, name: string): Buffer | undefined {
  let found: Buffer | undefined;
  let at = skipSpace(text, 1, true);
  while (at < text.length && text[at] === 0x22) {
    const keyEnd = endOfValue(text, at) ?? text.length;
    const key: unknown = JSON.parse(text.toString('utf8', at, keyEnd));
    const from = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const to = endOfValue(text, from) ?? text.length;
    if (key === name) found = text.subarray(from, to);
    at = skipSpace(text, to, true);
  }
  return found;
}
