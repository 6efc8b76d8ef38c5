import type { AuditEvent, Cursor, EventValue } from '../event/event.ts';
import { parseTimestamp } from '../event/timestamp.ts';
import type { Actions } from '../format/actions.ts';
import { printable } from '../lib/printable.ts';
import type { Secret } from '../lib/secret.ts';
import type { TelemetryEvent } from '../telemetry/telemetry-event.ts';

/**
 * How an event differs from the API's documentation, as names for a log line and a metric label: `unknown:NAME`,
 * `missing:NAME`, `type:NAME`; the fields of a user as `user.NAME`. Names of unknown fields come from outside: make them
 * printable before they are shown.
 */
export type Differences = readonly string[];

type Test = (value: unknown) => boolean;
type Fields = readonly { readonly name: string; readonly test: Test }[];

const isText: Test = (value) => typeof value === 'string';
const isId: Test = (value) => typeof value === 'number' && Number.isInteger(value);
const isTime: Test = (value) => typeof value === 'string' && parseTimestamp(value) !== undefined;
const isObject: Test = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The event as the API documents it. */
const eventFields: Fields = [
  { name: 'id', test: isId },
  { name: 'user', test: (value) => value === null || isObject(value) },
  { name: 'action', test: isText },
  { name: 'ip', test: isText },
  { name: 'userAgent', test: isText },
  { name: 'createdAt', test: isTime },
  { name: 'meta', test: isObject },
];
const optional = new Set(['meta']);
const userFields: Fields = [
  { name: 'id', test: isId },
  { name: 'name', test: isText },
  { name: 'email', test: isText },
];
const none: Differences = [];

/** Unknown fields that are named of one event. */
const MAX_UNKNOWN = 20;

/** Empty for nearly all events, at almost no cost. @param createdAtMs the time in `createdAt`, if it was parsed already */
export function differencesOf(value: EventValue, createdAtMs?: number): Differences {
  if (isAsDocumented(value, createdAtMs)) return none;
  const own = differences(value, eventFields, '');
  const user = value['user'];
  return isObject(user) ? [...own, ...differences(user as EventValue, userFields, 'user.')] : own;
}

/** The usual case, decided without the tables above; false decides nothing. */
function isAsDocumented(value: EventValue, createdAtMs: number | undefined): boolean {
  const { id, user, action, ip, userAgent, meta } = value;
  if (createdAtMs === undefined || !isId(id) || !isText(action) || !isText(ip) || !isText(userAgent)) return false;
  if (meta !== undefined && !isObject(meta)) return false;
  if (countOf(value) !== (meta === undefined ? 6 : 7)) return false;
  if (user === null) return true;
  if (!isObject(user)) return false;
  const { id: userId, name, email } = user as EventValue;
  return isId(userId) && isText(name) && isText(email) && countOf(user as EventValue) === 3;
}

/** Members of a parsed object, counted without a list of them. */
function countOf(value: EventValue): number {
  let count = 0;
  for (const _ in value) count += 1;
  return count;
}

function differences(value: EventValue, fields: Fields, prefix: string): Differences {
  const names: string[] = [];
  for (const { name, test } of fields) {
    if (!Object.hasOwn(value, name)) {
      if (!optional.has(name)) names.push(`missing:${prefix}${name}`);
    } else if (!test(value[name])) names.push(`type:${prefix}${name}`);
  }
  const unknown = Object.keys(value).filter((name) => !fields.some((known) => known.name === name));
  return [...names, ...unknown.slice(0, MAX_UNKNOWN).map((name) => `unknown:${prefix}${name}`)];
}

/** Names from outside that are distinguished, as many as a metric's label may have; all others are one. */
const MAX_NAMES = 50;
const MAX_NAME_LENGTH = 60;
const otherNames = 'other';

/** Counts what the API sends and its documentation does not mention. One for the whole process: a name is reported as new once. */
export class SchemaDrift {
  readonly #fields = new Names();
  readonly #actions = new Names();

  /**
   * What to report of events that were read for the first time: nothing, the usual case, or one telemetry event of each
   * kind. `key` is masked, even if the API sends it back.
   */
  report(
    events: readonly AuditEvent[],
    differences: ReadonlyMap<Cursor, Differences>,
    actions: Actions,
    key: Secret,
  ): TelemetryEvent[] {
    const masked = (name: string) => name.replaceAll(key.reveal(), String(key));
    const fields = new Map<string, number>();
    const unknown = new Map<string, number>();
    for (const { id, action } of events) {
      const labels = (differences.get(id) ?? none).map((name) => this.#fieldLabel(masked(name)));
      for (const label of new Set(labels)) count(fields, label);
      // An event without an action is counted as a missing field.
      if (action !== '' && !actions.meaningOf(action).known) count(unknown, this.#actions.label(masked(action)));
    }
    const reports: TelemetryEvent[] = [];
    if (fields.size > 0)
      reports.push({
        event: 'source.drift',
        fields: Object.fromEntries(fields),
        firstSeen: this.#fields.firstSeen(fields.keys()),
      });
    if (unknown.size > 0)
      reports.push({
        event: 'source.unknown_actions',
        actions: Object.fromEntries(unknown),
        firstSeen: this.#actions.firstSeen(unknown.keys()),
      });
    return reports;
  }

  /** Missing fields and fields of another type are documented ones, and few: only unknown ones can be endless. */
  #fieldLabel(name: string): string {
    return name.startsWith('unknown:') ? this.#fields.label(name) : name;
  }
}

class Names {
  readonly #labels = new Map<string, string>();
  readonly #reported = new Set<string>();

  /** The printable name, or the label of all others. */
  label(name: string): string {
    const known = this.#labels.get(name);
    if (known !== undefined) return known;
    if (this.#labels.size >= MAX_NAMES) return otherNames;
    const label = printable(name, MAX_NAME_LENGTH);
    this.#labels.set(name, label);
    return label;
  }

  /** Those of `labels` that this method never returned before. */
  firstSeen(labels: Iterable<string>): string[] {
    const added = [...labels].filter((label) => !this.#reported.has(label));
    for (const label of added) this.#reported.add(label);
    return added;
  }
}

function count(tally: Map<string, number>, label: string): void {
  tally.set(label, (tally.get(label) ?? 0) + 1);
}
