import type { Remarks } from '../event/reading.ts';

type Test = (value: unknown) => boolean;

const isText: Test = (value) => typeof value === 'string';
const isId: Test = (value) => typeof value === 'number' && Number.isInteger(value);
const isTime: Test = (value) => isText(value) && !Number.isNaN(Date.parse(value as string));
const isObject: Test = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

type Value = Readonly<Record<string, unknown>>;
type Shape = readonly { readonly name: string; readonly test: Test }[];

/** The event as the API documents it. */
const event: Shape = [
  { name: 'id', test: isId },
  { name: 'user', test: (value) => value === null || isObject(value) },
  { name: 'action', test: isText },
  { name: 'ip', test: isText },
  { name: 'userAgent', test: isText },
  { name: 'createdAt', test: isTime },
  { name: 'meta', test: isObject },
];
const optional = new Set(['meta']);
const user: Shape = [
  { name: 'id', test: isId },
  { name: 'name', test: isText },
  { name: 'email', test: isText },
];
const none: Remarks = [];

/** Most names of unknown fields told of one event. */
const most = 20;

/**
 * Where an event's value differs from the API's documentation, as names for a log line and a metric label:
 * `unknown:NAME`, `missing:NAME`, `type:NAME`, a user's fields as `user.NAME`. Empty where nothing does, the usual case, at
 * next to no cost. The names of unknown fields come from outside: make them printable before they are shown.
 *
 * @param createdAtMs the time in `createdAt`, where it was read already
 */
export function driftOf(value: Value, createdAtMs?: number): Remarks {
  if (isAsDocumented(value, createdAtMs)) return none;
  const own = differences(value, event, '');
  const who = value['user'];
  if (!isObject(who)) return own;
  const users = differences(who as Value, user, 'user.');
  return users.length === 0 ? own : [...own, ...users];
}

/** The usual case, told without a look at the tables above; false says nothing yet. */
function isAsDocumented(value: Value, createdAtMs: number | undefined): boolean {
  const { id, user: who, action, ip, userAgent, meta } = value;
  if (createdAtMs === undefined || !isId(id) || !isText(action) || !isText(ip) || !isText(userAgent)) return false;
  if (meta !== undefined && !isObject(meta)) return false;
  if (countOf(value) !== (meta === undefined ? 6 : 7)) return false;
  if (who === null) return true;
  if (!isObject(who)) return false;
  const { id: userId, name, email } = who as Value;
  return isId(userId) && isText(name) && isText(email) && countOf(who as Value) === 3;
}

/** Members of a parsed object, counted without a list of them. */
function countOf(value: Value): number {
  let count = 0;
  for (const _ in value) count += 1;
  return count;
}

function differences(value: Value, shape: Shape, prefix: string): Remarks {
  let names = none;
  let documented = 0;
  for (const { name, test } of shape) {
    if (Object.hasOwn(value, name)) {
      documented += 1;
      if (!test(value[name])) names = [...names, `type:${prefix}${name}`];
    } else if (!optional.has(name)) names = [...names, `missing:${prefix}${name}`];
  }
  if (countOf(value) > documented) {
    const unknown = Object.keys(value).filter((name) => !shape.some((known) => known.name === name));
    return [...names, ...unknown.slice(0, most).map((name) => `unknown:${prefix}${name}`)];
  }
  return names;
}
