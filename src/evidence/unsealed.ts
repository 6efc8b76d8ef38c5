import type { Cursor } from '../event/event.ts';
import { IdRanges, idsOf } from '../event/id-ranges.ts';
import type { Hash } from './merkle.ts';
import { parseRanges, printRanges } from './seal.ts';

/** `sent`: on the wire, or lost before it was confirmed. */
export type EventStatus = 'sent' | 'delivered' | 'filtered' | 'deadLettered';

/** What the seal that will cover an event needs to know of it. */
export interface UnsealedEvent {
  readonly id: Cursor;
  status: EventStatus;
  /** Of the event as QA Sphere sent it. */
  readonly source: Hash;
  /** Of the record that was sent; undefined if none was. */
  record: Hash | undefined;
  /** Milliseconds since the epoch; undefined if the event has no readable time. */
  readonly createdAtMs: number | undefined;
  /** Why it may have been delivered twice. */
  resent: string | undefined;
}

interface Entry {
  readonly ids: string;
  readonly status: EventStatus;
  readonly source: string;
  /** Absent: as `source`, unless `status` says that there is none. */
  readonly records?: string;
  readonly times: readonly (number | null)[];
  readonly resent?: string;
}

const hashBytes = 32;
const hasRecord = (status: EventStatus) => status === 'sent' || status === 'delivered';

/** Prints events, which ascend, as lines of text: one for each run that has the same status. */
export function printUnsealed(events: readonly UnsealedEvent[]): string[] {
  const runs: UnsealedEvent[][] = [];
  for (const event of events) {
    const before = runs.at(-1)?.at(-1);
    if (before !== undefined && before.status === event.status && before.resent === event.resent)
      runs.at(-1)?.push(event);
    else runs.push([event]);
  }
  return runs.map(printRun);
}

function printRun(events: readonly UnsealedEvent[]): string {
  const [first] = events;
  if (first === undefined) throw new TypeError('a run is never empty');
  const { status, resent } = first;
  const ids = new IdRanges();
  ids.addAll(events.map(({ id }) => id));
  const isVerbatim = events.every(({ source, record }) => record === source);
  const entry: Entry = {
    ids: printRanges(ids.toArray()),
    status,
    source: base64(events.map(({ source }) => source)),
    ...(hasRecord(status) && !isVerbatim && { records: base64(events.map(({ record = '' }) => record)) }),
    times: events.map(({ createdAtMs }) => createdAtMs ?? null),
    ...(resent !== undefined && { resent }),
  };
  return JSON.stringify(entry);
}

/** Parses a line of `printUnsealed`; undefined if it is damaged. */
export function parseUnsealed(line: string): UnsealedEvent[] | undefined {
  const entry = entryOf(line);
  const ranges = entry && parseRanges(entry.ids);
  if (entry === undefined || ranges === undefined) return undefined;
  const { status, times, resent } = entry;
  const source = hashes(entry.source);
  const records = entry.records === undefined ? source : hashes(entry.records);
  const ids = idsOf(ranges);
  if (ids.length !== source.length || ids.length !== records.length || ids.length !== times.length) return undefined;
  return ids.map((id, index) => ({
    id,
    status,
    source: source[index] as Hash,
    record: hasRecord(status) ? records[index] : undefined,
    createdAtMs: times[index] ?? undefined,
    resent,
  }));
}

function entryOf(line: string): Entry | undefined {
  try {
    const value = Object(JSON.parse(line)) as Partial<Entry>;
    const { ids, status, source, times } = value;
    if (typeof ids !== 'string' || typeof status !== 'string' || typeof source !== 'string' || !Array.isArray(times))
      return undefined;
    return value as Entry;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** Hashes as one text. */
export const base64 = (all: readonly Hash[]): string => Buffer.from(all.join(''), 'latin1').toString('base64');

/** The hashes in a text of `base64`. */
export function hashes(text: string): Hash[] {
  const all = Buffer.from(text, 'base64').toString('latin1');
  return Array.from({ length: all.length / hashBytes }, (_, index) =>
    all.slice(index * hashBytes, (index + 1) * hashBytes),
  );
}
