import { createHash } from 'node:crypto';
import type { IdRange } from '../event/id-ranges.ts';
import { printable } from '../lib/printable.ts';
import type { Checkpoint, NewestEvent } from './store.ts';

/** The version written. There is no older one yet; a newer one is reported as `newer`. */
export const version = 1;

export type Parsed =
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint; readonly updatedAt: string }
  /** `newer`: written by a newer version of this program. */
  | { readonly kind: 'damaged' | 'newer'; readonly detail: string };

/** One line of JSON. Its last member is the SHA-256 of everything before it. Ids are strings of digits. */
export function print(checkpoint: Checkpoint, updatedAt: string): string {
  const { sink, source, after, delivered, startMs, refusedInRow, newest, pendingAcks, seal } = checkpoint;
  const text = JSON.stringify({
    version,
    sink,
    source,
    after: String(after),
    delivered: delivered.map(([from, to]) => (from === to ? String(from) : [String(from), String(to)])),
    updatedAt,
    ...(startMs !== undefined && { startAt: new Date(startMs).toISOString() }),
    refusedInRow,
    ...(newest !== undefined && { newest: printNewest(newest) }),
    ...(pendingAcks !== undefined && { journal: pendingAcks }),
    ...(seal !== undefined && { seal }),
  });
  return `${text.slice(0, -1)},"checksum":"${digest(text)}"}\n`;
}

const digits = /^\d{1,40}$/;
const tail = /,"checksum":"([0-9a-f]{64})"\}\n?$/;

/** Never throws, whatever the text is. */
export function parse(text: string): Parsed {
  const end = tail.exec(text);
  const body = end === null ? '' : `${text.slice(0, end.index)}}`;
  if (end === null || digest(body) !== end[1]) {
    // A newer version may have another checksum, so its version is believed without one.
    return newer(asObject(text)) ?? damaged('the checksum does not match');
  }
  const value = asObject(body);
  if (value['version'] !== version) return newer(value) ?? damaged('it has no version');
  const { sink, source, after, delivered, startAt, refusedInRow, newest, journal, seal, updatedAt } = value;
  const ranges = Array.isArray(delivered) ? delivered.map(readRange) : [undefined];
  const startMs = startAt === undefined ? undefined : Date.parse(String(startAt));
  if (
    typeof sink !== 'string' ||
    typeof source !== 'string' ||
    !isDigits(after) ||
    !ranges.every((range) => range !== undefined) ||
    !isNewest(newest) ||
    Number.isNaN(startMs)
  )
    return damaged('members are missing or invalid');
  if (!areAscending(BigInt(after), ranges)) return damaged('the delivered ids are out of order');
  return {
    kind: 'checkpoint',
    updatedAt: printable(String(updatedAt), 40),
    checkpoint: {
      sink,
      source,
      after: BigInt(after),
      delivered: ranges,
      ...(startMs !== undefined && { startMs }),
      refusedInRow: typeof refusedInRow === 'number' ? refusedInRow : 0,
      ...(newest !== undefined && { newest: readNewest(newest) }),
      ...(journal !== undefined && { pendingAcks: journal }),
      ...(seal !== undefined && { seal }),
    },
  };
}

const damaged = (detail: string): Parsed => ({ kind: 'damaged', detail });

function newer({ version: found }: Readonly<Record<string, unknown>>): Parsed | undefined {
  if (typeof found !== 'number' || found <= version) return undefined;
  return { kind: 'newer', detail: `it has version ${found}, and this program reads versions up to ${version}` };
}

/** Parses `text` as a JSON object; returns an empty object if it is not one. */
function asObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

function readRange(value: unknown): IdRange | undefined {
  if (isDigits(value)) return [BigInt(value), BigInt(value)];
  if (!Array.isArray(value) || value.length !== 2 || !isDigits(value[0]) || !isDigits(value[1])) return undefined;
  return [BigInt(value[0]), BigInt(value[1])];
}

/** Whether all ranges lie above `after`, ascending and disjoint: the set is searched by bisection. */
function areAscending(after: bigint, ranges: readonly IdRange[]): boolean {
  let last = after;
  return ranges.every(([from, to]) => {
    const fits = from > last && to >= from;
    last = to;
    return fits;
  });
}

function printNewest({ id, action, createdAtMs, sha256 }: NewestEvent): StoredNewest {
  return {
    id: String(id),
    ...(action !== undefined && { action }),
    ...(createdAtMs !== undefined && { createdAt: new Date(createdAtMs).toISOString() }),
    ...(sha256 !== undefined && { sha256 }),
  };
}

function readNewest({ id, action, createdAt, sha256 }: StoredNewest): NewestEvent {
  return {
    id: BigInt(id),
    ...(action !== undefined && { action }),
    ...(createdAt !== undefined && { createdAtMs: Date.parse(createdAt) }),
    ...(sha256 !== undefined && { sha256 }),
  };
}

interface StoredNewest {
  readonly id: string;
  readonly action?: string;
  readonly createdAt?: string;
  readonly sha256?: string;
}

function isNewest(value: unknown): value is StoredNewest | undefined {
  if (value === undefined) return true;
  const { id, sha256, action, createdAt } = Object(value) as Record<string, unknown>;
  if (!isDigits(id)) return false;
  if (typeof sha256 === 'string') return true;
  const isDate = typeof createdAt === 'string' && !Number.isNaN(Date.parse(createdAt));
  return typeof action === 'string' && (createdAt === undefined || isDate);
}

function isDigits(value: unknown): value is string {
  return typeof value === 'string' && digits.test(value);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
