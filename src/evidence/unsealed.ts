import type { Cursor } from '../event/event.ts';
import { IdRanges, idsOf } from '../event/id-ranges.ts';
import type { Hash } from './merkle.ts';
import { parseRanges, printRanges } from './seal.ts';

/** `sent`: on the wire, or lost before it was confirmed. */
export type EventStatus = 'sent' | 'delivered' | 'filtered' | 'deadLettered';

/** What the seal that will cover some events needs to know of them. The lists are in ascending order of id. */
export interface UnsealedRun {
  readonly ids: readonly Cursor[];
  readonly status: EventStatus;
  /** Hashes of the events as QA Sphere sent them. */
  readonly sources: readonly Hash[];
  /** Hashes of the records that were sent; undefined if they are the same, or if none was sent. */
  readonly records: readonly Hash[] | undefined;
  /** `createdAt`, milliseconds since the epoch; undefined for an event without a readable time. */
  readonly times: readonly (number | undefined)[];
  /** Why they may have been delivered twice. */
  readonly resent: string | undefined;
}

interface Entry {
  readonly ids: string;
  readonly status: EventStatus;
  readonly source: string;
  readonly records?: string;
  readonly times: readonly (number | null)[];
  readonly resent?: string;
}

const hashBytes = 32;
const statuses: readonly string[] = ['sent', 'delivered', 'filtered', 'deadLettered'] satisfies EventStatus[];

/** Whether a record of the event was sent, and not refused. */
export const hasRecord = ({ status }: UnsealedRun): boolean => status === 'sent' || status === 'delivered';

/** The part of a run from one index to another. */
export function partOf({ ids, sources, records, times, ...rest }: UnsealedRun, from: number, to: number): UnsealedRun {
  return {
    ...rest,
    ids: ids.slice(from, to),
    sources: sources.slice(from, to),
    records: records?.slice(from, to),
    times: times.slice(from, to),
  };
}

/** Prints a run as a line of text. */
export function printUnsealed({ ids, status, sources, records, times, resent }: UnsealedRun): string {
  const ranges = new IdRanges();
  ranges.addAll(ids);
  const entry: Entry = {
    ids: printRanges(ranges.toArray()),
    status,
    source: base64(sources),
    ...(records && { records: base64(records) }),
    times: times.map((time) => time ?? null),
    ...(resent !== undefined && { resent }),
  };
  return JSON.stringify(entry);
}

/** Parses a line of `printUnsealed`; undefined if it is damaged. */
export function parseUnsealed(line: string): UnsealedRun | undefined {
  const entry = entryOf(line);
  const ranges = entry && parseRanges(entry.ids);
  if (entry === undefined || ranges === undefined) return undefined;
  const { status, times, resent } = entry;
  const run: UnsealedRun = {
    ids: idsOf(ranges),
    status,
    sources: hashes(entry.source),
    records: entry.records === undefined ? undefined : hashes(entry.records),
    times: times.map((time) => time ?? undefined),
    resent,
  };
  const lengths = [run.sources.length, run.records?.length ?? run.ids.length, times.length];
  return run.ids.length > 0 && lengths.every((length) => length === run.ids.length) ? run : undefined;
}

function entryOf(line: string): Entry | undefined {
  try {
    const value = Object(JSON.parse(line)) as Partial<Record<keyof Entry, unknown>>;
    const { ids, status, source, records, times, resent } = value;
    const areTexts = [ids, source, records ?? '', resent ?? ''].every((text) => typeof text === 'string');
    return areTexts && statuses.includes(String(status)) && Array.isArray(times) ? (value as Entry) : undefined;
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
