import type { Cursor } from '../event/event.ts';
import { type IdRange, IdRanges } from '../event/id-ranges.ts';
import type { StartAt } from '../event/start-at.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Page, Source } from '../source/source.ts';
import type { Checkpoint, CheckpointStore } from '../state/store.ts';

export interface StartPosition {
  readonly after: Cursor;
  /** Events behind it that are older than the start. */
  readonly older?: readonly IdRange[];
  readonly from: StartAt['kind'] | 'checkpoint';
}

export interface StartPositionOptions {
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
 * Where the sink goes on, or begins where it has no checkpoint. The time that is now is written down before the cursor
 * for it is looked for: a first start that is cut off means the same time again. Undefined where `life` ends first.
 * @throws the file system's error where that time can't be written
 */
export async function findStartPosition(
  options: StartPositionOptions,
  last: Checkpoint | undefined,
  signals: ShutdownSignals,
): Promise<StartPosition | undefined> {
  const { name, origin, startAt, source, store, settleMs, now } = options;
  if (last !== undefined && last.startMs === undefined) return { after: last.after, from: 'checkpoint' };
  const from = last === undefined ? startAt.kind : 'time';
  if (last === undefined && startAt.kind === 'beginning') return { after: 0n, from };
  if (last === undefined && startAt.kind === 'id') return { after: startAt.id > 0n ? startAt.id - 1n : 0n, from };
  const startMs = last?.startMs ?? (startAt.kind === 'time' ? startAt.timeMs : await serverTime(source, signals, now));
  if (startMs === undefined) return undefined;
  if (last === undefined && startAt.kind === 'now')
    await store.save({ sink: name, source: origin, after: 0n, delivered: [], startMs, refusedInRow: 0 });
  const found = await find(source, startMs, settleMs, signals);
  if (found === undefined) return undefined;
  // What may still appear among the older ones, and is none of them, is not to be passed by.
  return settleMs === 0 ? { after: found.end, from } : { after: found.from, older: found.older.toArray(), from };
}

/** The server's time now, milliseconds since the epoch: its Date, else `now`. Undefined where `life` ends first. */
export async function serverTime(
  source: Source,
  signals: ShutdownSignals,
  now: () => number,
): Promise<number | undefined> {
  const page = await source.peek(0n, signals);
  return page === undefined ? undefined : (page.asked.serverMs ?? now());
}

/**
 * The cursor behind which the first event created at or after `timeMs` stands. Bisects with one event a request down to
 * `settleMs` before that time, since createdAt follows the order of ids to within `settle`, and reads on from there. An
 * unreadable createdAt counts as late enough. Undefined where `life` ends first.
 */
export async function findTime(
  source: Source,
  timeMs: number,
  settleMs: number,
  signals: ShutdownSignals,
): Promise<Cursor | undefined> {
  return (await find(source, timeMs, settleMs, signals))?.end;
}

interface Found {
  /** All up to it is older than the time by more than `settle`. */
  readonly from: Cursor;
  /** What was read behind that and is older than the time. */
  readonly older: IdRanges;
  /** The last of those. */
  readonly end: Cursor;
}

async function find(
  source: Source,
  timeMs: number,
  settleMs: number,
  signals: ShutdownSignals,
): Promise<Found | undefined> {
  const from = await bisect(source, timeMs - settleMs, signals);
  return from === undefined ? undefined : walk(source, from, timeMs, signals);
}

const isSince = (event: Page['events'][number], timeMs: number) => (event.createdAtMs ?? timeMs) >= timeMs;

/** A cursor such that the event after it was created at `timeMs` or later, or there is none, and the one at it before. */
async function bisect(source: Source, timeMs: number, signals: ShutdownSignals): Promise<Cursor | undefined> {
  // Below or at `low` all is older; behind `high` nothing is, or there is nothing.
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

/** Reads pages from `from` on to the first event created at `timeMs` or later. */
async function walk(
  source: Source,
  from: Cursor,
  timeMs: number,
  signals: ShutdownSignals,
): Promise<Found | undefined> {
  const startMs = performance.now();
  const older = new IdRanges();
  for (let end = from; ; ) {
    const page = await source.page(end, startMs, signals);
    if (page === undefined) return undefined;
    const first = page.events.findIndex((event) => isSince(event, timeMs));
    const before = first === -1 ? page.events : page.events.slice(0, first);
    older.addAll(before.map(({ id }) => id));
    end = before.at(-1)?.id ?? end;
    if (first !== -1 || page.events.length === 0) return { from, older, end };
  }
}
