import { createHash } from 'node:crypto';
import type { IdRange } from '../event/id-ranges.ts';
import { type Checkpoint, CheckpointProblem } from './store.ts';

/** Version written; older ones are read, newer ones refused. */
export const version = 1;

export type Parsed =
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint; readonly updatedAt: string }
  | { readonly kind: 'damaged'; readonly detail: string };

/** One line of JSON; its last member is the SHA-256 of all before it. Ids are strings of digits. */
export function print(checkpoint: Checkpoint, updatedAt: string): string {
  const { sink, source, after, delivered, startMs, refusedInRow, newest, pendingAcks } = checkpoint;
  const text = JSON.stringify({
    version,
    sink,
    source,
    after: String(after),
    delivered: delivered.map(([from, to]) => (from === to ? String(from) : [String(from), String(to)])),
    updatedAt,
    ...(startMs !== undefined && { startAt: new Date(startMs).toISOString() }),
    refusedInRow,
    ...(newest !== undefined && { newest: { id: String(newest.id), sha256: newest.sha256 } }),
    ...(pendingAcks !== undefined && { journal: pendingAcks }),
  });
  return `${text.slice(0, -1)},"checksum":"${digest(text)}"}\n`;
}

const digits = /^\d{1,40}$/;
const tail = /,"checksum":"([0-9a-f]{64})"\}\n?$/;

/** @throws {CheckpointProblem} a whole file of a newer version */
export function parse(text: string, name: string): Parsed {
  const end = tail.exec(text);
  const body = end === null ? '' : `${text.slice(0, end.index)}}`;
  if (end === null || digest(body) !== end[1]) {
    refuseNewer(text, name);
    return { kind: 'damaged', detail: 'the checksum does not fit' };
  }
  const value = JSON.parse(body) as Record<string, unknown>;
  if (value['version'] !== version) throw newer(value['version'], name);
  const { sink, source, after, delivered, startAt, refusedInRow, newest, journal, updatedAt } = value;
  const ranges = Array.isArray(delivered) ? delivered.map(readRange) : [undefined];
  if (
    typeof sink !== 'string' ||
    typeof source !== 'string' ||
    !isDigits(after) ||
    !ranges.every((r) => r !== undefined) ||
    !isNewest(newest)
  )
    return { kind: 'damaged', detail: 'members are missing' };
  if (!ascend(BigInt(after), ranges)) return { kind: 'damaged', detail: 'the delivered ids are out of order' };
  return {
    kind: 'checkpoint',
    updatedAt: String(updatedAt),
    checkpoint: {
      sink,
      source,
      after: BigInt(after),
      delivered: ranges,
      ...(typeof startAt === 'string' && { startMs: Date.parse(startAt) }),
      refusedInRow: typeof refusedInRow === 'number' ? refusedInRow : 0,
      ...(newest !== undefined && { newest: { id: BigInt(newest.id), sha256: newest.sha256 } }),
      ...(journal !== undefined && { pendingAcks: journal }),
    },
  };
}

/** A newer program may have another checksum: its version is believed all the same. */
function refuseNewer(text: string, name: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  const found = (value as Record<string, unknown> | null)?.['version'];
  if (typeof found === 'number' && found > version) throw newer(found, name);
}

function newer(found: unknown, name: string): CheckpointProblem {
  return new CheckpointProblem(
    `the checkpoint of sink ${name} has version ${String(found)}, this program knows ${version}: it was written by a newer program. Install that one again, or move the file away and set the cursor with "cursor set"`,
  );
}

function readRange(value: unknown): IdRange | undefined {
  if (isDigits(value)) return [BigInt(value), BigInt(value)];
  if (!Array.isArray(value) || value.length !== 2 || !isDigits(value[0]) || !isDigits(value[1])) return undefined;
  return [BigInt(value[0]), BigInt(value[1])];
}

/** All above `after`, ascending and apart: a set that is searched by halving must be. */
function ascend(after: bigint, ranges: readonly IdRange[]): boolean {
  let last = after;
  return ranges.every(([from, to]) => {
    const fits = from > last && to >= from;
    last = to;
    return fits;
  });
}

function isNewest(value: unknown): value is { readonly id: string; readonly sha256: string } | undefined {
  if (value === undefined) return true;
  const { id, sha256 } = Object(value) as Record<string, unknown>;
  return isDigits(id) && typeof sha256 === 'string';
}

function isDigits(value: unknown): value is string {
  return typeof value === 'string' && digits.test(value);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
