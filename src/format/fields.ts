import { isIP } from 'node:net';
import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import { decodeString, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';

/** Offsets of a member in the text of its object; the key includes its quotes. */
export interface Place {
  readonly keyAt: number;
  readonly keyEnd: number;
  readonly valueAt: number;
  readonly valueEnd: number;
}

/** A member as JSON text on one line. */
export interface Raw {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

export interface User {
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly email: string | undefined;
}

/** The parts of an event that formats write. A field that is missing, null or empty is undefined. */
export interface Fields {
  /** Digits. */
  readonly id: string;
  readonly action: string | undefined;
  /** Milliseconds since the epoch: `createdAt`, or the time of receipt if that is missing or unreadable. */
  readonly timeMs: number;
  readonly timeIsReceipt: boolean;
  /** As the API sent it. */
  readonly createdAt: string | undefined;
  readonly receivedAtMs: number;
  /** Undefined for a system event. */
  readonly user: User | undefined;
  /** As the API sent it; an address only if `ipVersion` is not 0. */
  readonly ip: string | undefined;
  /** 0: not an address that every SIEM accepts. */
  readonly ipVersion: 0 | 4 | 6;
  readonly userAgent: string | undefined;
  /** The text of `meta` on one line, if it is an object. */
  readonly meta: string | undefined;
  /** Members of `meta` by decoded name, as offsets in the event's text. */
  readonly metaMembers: ReadonlyMap<string, Place>;
  /** Everything else: unknown fields, and known ones of another type. The last of a repeated key counts. */
  readonly rest: readonly Raw[];
}

const openBrace = 0x7b;
const quote = 0x22;
const minus = 0x2d;
const none: ReadonlyMap<string, Place> = new Map();

/** Reads the event's text instead of its parsed value, so that no digit of a number is lost and keys stay as they are. */
export function fieldsOf(event: AuditEvent): Fields {
  const { text } = event;
  const rest: Raw[] = [];
  const members = placesIn(text, skipSpace(text, 0));
  const asText = (name: string): string | undefined => {
    const place = members.get(name);
    if (place === undefined || isNull(text, place)) return undefined;
    if (text[place.valueAt] === quote) return stringIn(text, place);
    rest.push(rawOf(text, name, place));
    return undefined;
  };
  const action = asText('action');
  const createdAt = asText('createdAt');
  const ip = asText('ip');
  const userAgent = asText('userAgent');
  const user = userIn(text, members.get('user'), rest);
  const meta = members.get('meta');
  const hasMeta = meta !== undefined && text[meta.valueAt] === openBrace;
  if (meta !== undefined && !hasMeta && !isNull(text, meta)) rest.push(rawOf(text, 'meta', meta));
  for (const [name, place] of members) if (!known.has(name)) rest.push(rawOf(text, name, place));
  const receivedAtMs = Math.trunc(event.receivedAtMs);
  const { createdAtMs } = event;
  return {
    id: event.id.toString(),
    action,
    timeMs: createdAtMs ?? receivedAtMs,
    timeIsReceipt: createdAtMs === undefined,
    createdAt,
    receivedAtMs,
    user,
    ip,
    ipVersion: ip === undefined || ip.includes('%') ? 0 : (isIP(ip) as 0 | 4 | 6),
    userAgent,
    meta: hasMeta ? onOneLine(text.toString('utf8', meta.valueAt, meta.valueEnd)) : undefined,
    metaMembers: hasMeta ? placesIn(text, meta.valueAt) : none,
    rest,
  };
}

const known = new Set(['id', 'user', 'action', 'ip', 'userAgent', 'createdAt', 'meta']);

/** Members of the object at `at`, by decoded name; the last of a repeated key. Empty if there is no object. */
export function placesIn(text: Buffer, at: number): ReadonlyMap<string, Place> {
  if (text[at] !== openBrace) return none;
  const places = new Map<string, Place>();
  eachMember(text, at, (keyAt, keyEnd, valueAt) => {
    const valueEnd = endOfValue(text, valueAt);
    places.set(decodeString(text, keyAt, keyEnd), { keyAt, keyEnd, valueAt, valueEnd });
    return valueEnd;
  });
  return places;
}

/** The content of a string or the digits of a number as sent; undefined for anything else, and for an empty string. */
export function scalarIn(text: Buffer, place: Place | undefined): string | undefined {
  if (place === undefined) return undefined;
  const first = text[place.valueAt] ?? 0;
  if (first === quote) return stringIn(text, place);
  const isNumber = first === minus || (first >= 0x30 && first <= 0x39);
  return isNumber ? text.toString('latin1', place.valueAt, place.valueEnd) : undefined;
}

function stringIn(text: Buffer, place: Place): string | undefined {
  const content = decodeString(text, place.valueAt, place.valueEnd);
  return content === '' ? undefined : content;
}

const isNull = (text: Buffer, place: Place) => text[place.valueAt] === 0x6e;

const rawOf = (text: Buffer, name: string, place: Place): Raw => ({
  name,
  key: onOneLine(text.toString('utf8', place.keyAt, place.keyEnd)),
  value: onOneLine(text.toString('utf8', place.valueAt, place.valueEnd)),
});

/** The user; its unknown members go to `rest` as an object `user`. */
function userIn(text: Buffer, place: Place | undefined, rest: Raw[]): User | undefined {
  if (place === undefined || isNull(text, place)) return undefined;
  if (text[place.valueAt] !== openBrace) {
    rest.push(rawOf(text, 'user', place));
    return undefined;
  }
  const members = placesIn(text, place.valueAt);
  const others: Raw[] = [];
  const part = (name: string, read: (place: Place) => string | undefined): string | undefined => {
    const member = members.get(name);
    if (member === undefined || isNull(text, member)) return undefined;
    const value = read(member);
    if (value === undefined && text[member.valueAt] !== quote) others.push(rawOf(text, name, member));
    return value;
  };
  const onlyString = (member: Place) => (text[member.valueAt] === quote ? stringIn(text, member) : undefined);
  const user = {
    id: part('id', (member) => scalarIn(text, member)),
    name: part('name', onlyString),
    email: part('email', onlyString),
  };
  for (const [name, member] of members)
    if (name !== 'id' && name !== 'name' && name !== 'email') others.push(rawOf(text, name, member));
  if (others.length > 0) rest.push({ name: 'user', key: '"user"', value: objectOf(others) });
  return user.id === undefined && user.name === undefined && user.email === undefined ? undefined : user;
}

/** The members of `meta` as JSON text; none if it is not an object. */
export function membersOfMeta(event: AuditEvent, fields: Fields): Raw[] {
  return [...fields.metaMembers].map(([name, place]) => rawOf(event.text, name, place));
}

/** The JSON text of an object with these members. */
export function objectOf(members: readonly Raw[]): string {
  return `{${members.map(({ key, value }) => `${key}:${value}`).join(',')}}`;
}

/** `createdAt` as sent, if the milliseconds do not express it: it is unreadable, finer, or in another zone. */
export function createdAtDetail(fields: Fields): string | undefined {
  if (fields.createdAt === undefined || fields.timeIsReceipt) return fields.createdAt;
  return new Date(fields.timeMs).toISOString() === fields.createdAt ? undefined : fields.createdAt;
}

/** One line for people: what was done, by whom, to which account, from where. Unknown parts are left out. */
export function summaryOf(title: string, fields: Fields, account: User | undefined): string {
  const by = fields.user === undefined ? '' : ` by ${nameOf(fields.user)}`;
  const to = account === undefined ? '' : ` for ${nameOf(account)}`;
  return `${title}${by}${to}${fields.ip === undefined ? '' : ` from ${fields.ip}`}`;
}

const nameOf = (user: User) => user.email ?? user.name ?? `user ${user.id}`;
