import type { AuditEvent } from '../core/event.ts';

type Test = (value: unknown) => boolean;

const isText: Test = (value) => typeof value === 'string';
const isId: Test = (value) => typeof value === 'number' && Number.isInteger(value);
const isObject: Test = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The event as the API documents it. */
const event: Readonly<Record<string, Test>> = {
  id: isId,
  user: (value) => value === null || isObject(value),
  action: isText,
  ip: isText,
  userAgent: isText,
  createdAt: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  meta: isObject,
};
const optional = new Set(['meta']);
const user: Readonly<Record<string, Test>> = { id: isId, name: isText, email: isText };

/** Most names of unknown fields told of one event. */
const most = 20;

/**
 * Where an event differs from the API's documentation, as names for a log line and a metric label: `unknown:NAME`,
 * `missing:NAME`, `type:NAME`, a user's fields as `user.NAME`. Empty where nothing does, the usual case, at next to no
 * cost. The names of unknown fields come from outside: make them printable before they are shown.
 */
export function driftOf({ value }: AuditEvent): readonly string[] {
  const names = differences(value, event, '');
  const who = value['user'];
  return isObject(who) ? [...names, ...differences(who as Readonly<Record<string, unknown>>, user, 'user.')] : names;
}

function differences(value: Readonly<Record<string, unknown>>, shape: Readonly<Record<string, Test>>, prefix: string) {
  const names: string[] = [];
  for (const name in shape) {
    if (!Object.hasOwn(value, name)) {
      if (!optional.has(name)) names.push(`missing:${prefix}${name}`);
    } else if (shape[name]?.(value[name]) === false) names.push(`type:${prefix}${name}`);
  }
  let unknown = 0;
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(shape, name)) continue;
    if (++unknown > most) break;
    names.push(`unknown:${prefix}${name}`);
  }
  return names;
}
