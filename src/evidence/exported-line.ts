import { decodeString, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';

/** What one line of an export is. */
export type ExportedLine =
  /** A record: the id of its event in digits, and its bytes as the sink delivered them. */
  | { readonly kind: 'record'; readonly id: string; readonly bytes: Buffer }
  /** A record of the forwarder itself; `body`: its member `forwarder`. */
  | { readonly kind: 'status'; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: 'unreadable'; readonly detail: string };

const unreadable = (detail: string): ExportedLine => ({ kind: 'unreadable', detail });

/**
 * Reads one line of an export, without its line end: a record as a sink writes it (every format, with or without the envelope
 * of `envelope: true`), a result or `_raw` of a Splunk export, a HEC envelope, or a syslog line. Never throws.
 */
export function exportedLine(line: Buffer): ExportedLine {
  const bytes = withoutBlanks(line);
  if (bytes[0] !== 0x7b) return textLine(bytes);
  const value = parsed(bytes);
  if (!isObject(value)) return unreadable('it is no JSON');
  const { id: own, action, result, _raw: raw, event, forwarder } = value;
  // An event may get members of any name: what identifies it comes first.
  const isEvent = own !== undefined && typeof action === 'string';
  if (isEvent) return recordOf(bytes, value);
  const inner = raw ?? (isObject(result) ? result['_raw'] : undefined);
  if (typeof inner === 'string') return exportedLine(Buffer.from(inner));
  if (event !== undefined && ['time', 'sourcetype', 'host', 'index'].some((name) => Object.hasOwn(value, name)))
    return exportedLine(typeof event === 'string' ? Buffer.from(event) : (memberOf(bytes, 'event') ?? bytes));
  if (isObject(forwarder)) return { kind: 'status', body: forwarder };
  return recordOf(bytes, value);
}

function recordOf(bytes: Buffer, value: Readonly<Record<string, unknown>>): ExportedLine {
  const id = idOf(bytes, value);
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
    if (parsed(rest) !== undefined) return exportedLine(rest);
  }
  return unreadable('it is neither a record nor a syslog line with one');
}

/** Where the id of an event is: `id` (json), `event.id` (ECS and the envelope), `metadata.uid` (OCSF). */
function idOf(bytes: Buffer, value: Readonly<Record<string, unknown>>): string | undefined {
  const { id, event, metadata } = value;
  return (
    digits(id, () => memberOf(bytes, 'id')) ??
    (isObject(event) ? digits(event['id'], () => memberOf(memberOf(bytes, 'event') ?? bytes, 'id')) : undefined) ??
    (isObject(metadata) ? digits(metadata['uid'], () => undefined) : undefined)
  );
}

/** The digits of an id; `text` returns its own text, since JSON.parse rounds a large number. */
function digits(id: unknown, text: () => Buffer | undefined): string | undefined {
  if (typeof id === 'string') return /^\d{1,20}$/.test(id) ? id : undefined;
  if (typeof id !== 'number' || id < 0) return undefined;
  if (Number.isSafeInteger(id)) return String(id);
  return /^\d{1,20}$/.exec(String(text()))?.[0];
}

/** The text of a member of the JSON object in `bytes`; the last one, if there are several of its name. */
function memberOf(bytes: Buffer, name: string): Buffer | undefined {
  let found: Buffer | undefined;
  eachMember(bytes, skipSpace(bytes, 0), (keyAt, keyEnd, at) => {
    const end = endOfValue(bytes, at);
    if (decodeString(bytes, keyAt, keyEnd) === name) found = bytes.subarray(at, end);
    return end;
  });
  return found;
}

/** Undefined if it is no JSON. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function withoutBlanks(line: Buffer): Buffer {
  const end = line.at(-1) === 0x0d ? line.length - 1 : line.length;
  return line.subarray(0, end);
}
