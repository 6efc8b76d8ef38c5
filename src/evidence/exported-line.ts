import { eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';

/** What one line of an export is. */
export type ExportedLine =
  /** A record: the id of its event in digits, and its bytes as the sink delivered them. */
  | { readonly kind: 'record'; readonly id: string; readonly bytes: Buffer }
  /** A record of the forwarder itself; `body`: its member `forwarder`. */
  | { readonly kind: 'status'; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: 'unreadable'; readonly detail: string };

type Members = ReadonlyMap<string, { readonly at: number; readonly end: number }>;

const unreadable = (detail: string): ExportedLine => ({ kind: 'unreadable', detail });

/**
 * Reads one line of an export, without its line end: a record as a sink writes it (every format, with or without the envelope
 * of `envelope: true`), a result or `_raw` of a Splunk export, a HEC envelope, or a syslog line. Never throws.
 */
export function exportedLine(line: Buffer): ExportedLine {
  const bytes = withoutBlanks(line);
  if (bytes[0] !== 0x7b) return textLine(bytes);
  const members = membersOf(bytes);
  if (members === undefined) return unreadable('it is no JSON');
  const value = (name: string) => memberOf(bytes, members, name);
  const { result, _raw: raw } = { result: value('result'), _raw: value('_raw') };
  const inner = raw ?? (isObject(result) ? result['_raw'] : undefined);
  if (typeof inner === 'string') return exportedLine(Buffer.from(inner));
  const event = members.get('event');
  const isEnvelope = event !== undefined && ['time', 'sourcetype', 'host', 'index'].some((name) => members.has(name));
  if (isEnvelope) {
    const text = bytes.subarray(event.at, event.end);
    return exportedLine(text[0] === 0x22 ? Buffer.from(JSON.parse(String(text)) as string) : text);
  }
  const body = value('forwarder');
  if (isObject(body)) return { kind: 'status', body };
  const id = idOf(bytes, members);
  return id === undefined ? unreadable('it has no event id') : { kind: 'record', id, bytes };
}

/** CEF, LEEF, or a syslog line: the record is what begins with `{`, `CEF:` or `LEEF:`. */
function textLine(bytes: Buffer): ExportedLine {
  const text = bytes.toString('latin1');
  const vendor = /(?:^|[ :])(CEF:\d|LEEF:\d)/.exec(text);
  if (vendor !== null) {
    const at = text.indexOf(vendor[1] as string, vendor.index);
    const id = /[ |^\t](?:externalId|eventId)=(\d{1,20})(?=[ ^\t]|$)/.exec(text.slice(at));
    if (id?.[1] !== undefined) return { kind: 'record', id: id[1], bytes: bytes.subarray(at) };
  }
  // A parameter of the header may hold a brace too: the record is the first that is JSON up to the end of the line.
  for (let at = text.indexOf(' {'); at !== -1; at = text.indexOf(' {', at + 1)) {
    const rest = bytes.subarray(at + 1);
    if (isJson(rest)) return exportedLine(rest);
  }
  return unreadable('it is neither a record nor a syslog line with one');
}

/** Where the id of an event is: `id` (json), `event.id` (ECS and the envelope), `metadata.uid` (OCSF). */
function idOf(bytes: Buffer, members: Members): string | undefined {
  const own = digits(bytes, members.get('id'));
  if (own !== undefined) return own;
  for (const [outer, inner] of [
    ['event', 'id'],
    ['metadata', 'uid'],
  ] as const) {
    const range = members.get(outer);
    const nested = range && membersOf(bytes.subarray(range.at, range.end));
    const id = range && nested && digits(bytes.subarray(range.at, range.end), nested.get(inner));
    if (id !== undefined) return id;
  }
  return undefined;
}

/** A number is taken digit by digit: JSON.parse would round a large one. */
function digits(bytes: Buffer, range: { readonly at: number; readonly end: number } | undefined): string | undefined {
  const text = range && bytes.toString('latin1', range.at, range.end);
  return /^"?(\d{1,20})"?$/.exec(text ?? '')?.[1];
}

/** The members of the JSON object in `bytes`; undefined if they are no JSON. */
function membersOf(bytes: Buffer): Members | undefined {
  if (!isJson(bytes)) return undefined;
  const members = new Map<string, { at: number; end: number }>();
  if (bytes[0] !== 0x7b) return members;
  eachMember(bytes, skipSpace(bytes, 0), (keyAt, keyEnd, at) => {
    const end = endOfValue(bytes, at);
    members.set(JSON.parse(bytes.toString('utf8', keyAt, keyEnd)) as string, { at, end });
    return end;
  });
  return members;
}

function memberOf(bytes: Buffer, members: Members, name: string): unknown {
  const range = members.get(name);
  return range && JSON.parse(bytes.toString('utf8', range.at, range.end));
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function withoutBlanks(line: Buffer): Buffer {
  const end = line.at(-1) === 0x0d ? line.length - 1 : line.length;
  return line.subarray(0, end);
}
