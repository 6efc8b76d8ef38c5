import type { AuditEvent, Cursor } from '../event/event.ts';
import { type IdRange, IdRanges } from '../event/id-ranges.ts';
import type { StartAt } from '../event/start-at.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Source } from '../source/source.ts';
import type { Checkpoint, CheckpointStore } from '../state/store.ts';

/** A place in the log, in the terms of a checkpoint. */
export interface Position {
  readonly after: Cursor;
  /** Ids above `after` that count as delivered: those older than the start. */
  readonly delivered: readonly IdRange[];
}

interface StartPosition extends Position {
  readonly from: StartAt['kind'] | 'checkpoint';
}

interface StartPositionOptions {
  readonly name: string;
  readonly origin: string;
  readonly startAt: StartAt;
  readonly settleMs: number;
  readonly source: Source;
  readonly store: CheckpointStore;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Where the sink continues, or starts if it has no checkpoint. For `now` the current time is saved before its cursor is
 * looked for, so that a first start that is interrupted means the same time when it is repeated. Undefined if `signals`
 * end first. @throws the storage's error if that time can't be saved
 */
export async function findStartPosition(
  options: StartPositionOptions,
  last: Checkpoint | undefined,
  signals: ShutdownSignals,
): Promise<StartPosition | undefined> {
  const { name, origin, startAt, source, store, settleMs, now } = options;
  if (last !== undefined && last.startMs === undefined)
    return { after: last.after, delivered: last.delivered, from: 'checkpoint' };
  const from = last === undefined ? startAt.kind : 'time';
  let wanted: StartAt = last?.startMs === undefined ? startAt : { kind: 'time', timeMs: last.startMs };
  if (wanted.kind === 'now') {
    const timeMs = await serverTime(source, signals, now);
    if (timeMs === undefined) return undefined;
    wanted = { kind: 'time', timeMs };
    await store.save({ sink: name, source: origin, after: 0n, delivered: [], startMs: timeMs, refusedInRow: 0 });
  }
  const position = await findPosition(source, wanted, settleMs, signals, now);
  return position && { ...position, from };
}

/** The position for `startAt`. Undefined if `signals` end first. */
export async function findPosition(
  source: Source,
  startAt: StartAt,
  settleMs: number,
  signals: ShutdownSignals,
  now: () => number,
): Promise<Position | undefined> {
  if (startAt.kind === 'beginning') return { after: 0n, delivered: [] };
  if (startAt.kind === 'id') return { after: startAt.id > 0n ? startAt.id - 1n : 0n, delivered: [] };
  const timeMs = startAt.kind === 'time' ? startAt.timeMs : await serverTime(source, signals, now);
  if (timeMs === undefined) return undefined;
  const after = await bisect(source, timeMs - settleMs, signals);
  const older = after === undefined ? undefined : await readOlder(source, after, timeMs, signals);
  if (after === undefined || older === undefined) return undefined;
  // An event that was created since may still appear among the older ones: it must not be skipped.
  return settleMs === 0 ? { after: older.last ?? after, delivered: [] } : { after, delivered: older.toArray() };
}

/** The last event of the log, as a cursor; undefined if `signals` end first. */
export async function findEnd(source: Source, signals: ShutdownSignals): Promise<Cursor | undefined> {
  const position = await findPosition(source, { kind: 'time', timeMs: Number.POSITIVE_INFINITY }, 0, signals, () => 0);
  return position?.after;
}

/** The server's current time, milliseconds since the epoch: its Date header, else `now`. Undefined if `signals` end first. */
async function serverTime(source: Source, signals: ShutdownSignals, now: () => number): Promise<number | undefined> {
  const page = await source.peek(0n, signals);
  return page === undefined ? undefined : (page.asked.serverMs ?? now());
}

/** An event without a readable `createdAt` counts as recent. */
const isSince = (event: AuditEvent, timeMs: number) => (event.createdAtMs ?? timeMs) >= timeMs;

/**
 * A cursor so that the event after it was created at `timeMs` or later, or does not exist, and the event at it was created
 * earlier. One event per request. `createdAt` follows the order of ids only to within `settle`, so the caller searches for a
 * time that much earlier and reads on from there.
 */
async function bisect(source: Source, timeMs: number, signals: ShutdownSignals): Promise<Cursor | undefined> {
  // Everything at or below `low` is older; nothing above `high` is, or there is nothing.
  let low = 0n;
  let high: Cursor | undefined;
  for (let at = 0n; high === undefined || low < high; at = high === undefined ? low * 2n : (low + high) / 2n) {
    const page = await source.peek(at, signals);
    if (page === undefined) return undefined;
    const [event] = page.events;
    if (event === undefined || isSince(event, timeMs)) high = at;
    else low = event.id;
  }
  return low;
}

/** The ids of the events after `from`, up to the first one created at `timeMs` or later. */
async function readOlder(
  source: Source,
  from: Cursor,
  timeMs: number,
  signals: ShutdownSignals,
): Promise<IdRanges | undefined> {
  const startMs = performance.now();
  const older = new IdRanges();
  for (;;) {
    const page = await source.page(older.last ?? from, startMs, signals);
    if (page === undefined) return undefined;
    const first = page.events.findIndex((event) => isSince(event, timeMs));
    const before = first === -1 ? page.events : page.events.slice(0, first);
    older.addAll(before.map(({ id }) => id));
    if (first !== -1 || page.events.length === 0) return older;
  }
}
