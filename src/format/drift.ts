import type { Remarks } from '../core/event.ts';

type Test = (value: unknown) => boolean;

const isText: Test = (value) => typeof value === 'string';
const isId: Test = (value) => typeof value === 'number' && Number.isInteger(value);
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
  { name: 'createdAt', test: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)) },
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
 */
export function driftOf(value: Value): Remarks {
  const own = differences(value, event, '');
  const who = value['user'];
  if (!isObject(who)) return own;
  const users = differences(who as Value, user, 'user.');
  return users.length === 0 ? own : [...own, ...users];
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
  let present = 0;
  // Counted without a list of them, for every event comes this way.
  for (const _ in value) present += 1;
  if (present > documented) {
    const unknown = Object.keys(value).filter((name) => !shape.some((known) => known.name === name));
    return [...names, ...unknown.slice(0, most).map((name) => `unknown:${prefix}${name}`)];
  }
  return names;
}
