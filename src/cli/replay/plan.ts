import { join } from 'node:path';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { FileStore } from '../../state/file/checkpoint-files.ts';
import { readGenerations, usable } from '../../state/file/generations.ts';
import { usingState } from '../../state/file/state-directory.ts';
import { UsageError } from '../command.ts';
import { checkpointsOf, headOf } from '../cursor/list-cursors.ts';
import type { Lookup } from '../cursor/lookup.ts';
import { words } from '../cursor/plan.ts';
import { DeadLetterSource } from './dead-letter-source.ts';

export interface ReplayRequest {
  readonly sink: string;
  /** Ids above it are sent. */
  readonly after: Cursor;
  /** The last id that is sent; default: the last that the sink has, or for a dead letter its last. */
  readonly until: Cursor | undefined;
  readonly from: 'log' | 'dead letter';
}

export interface ReplayPlan extends ReplayRequest {
  readonly until: Cursor;
  /** What will happen, one printable line each. */
  readonly lines: readonly string[];
  /** There is nothing to send. */
  readonly empty: boolean;
  /** The source gave pages before: a 404 is passing. */
  readonly readBefore: boolean;
}

export const deadLetterOf = ({ state }: Config, sink: string) => join(state.directory, 'dead-letter', `${sink}.ndjson`);

/** What a replay would send. @throws {UsageError} @throws {CheckpointProblem} @throws {StateProblem} */
export async function planReplay(
  config: Config,
  ctx: Context,
  request: ReplayRequest,
  lookup: Lookup,
): Promise<ReplayPlan> {
  return usingState(config.state.directory, () =>
    request.from === 'log' ? planLog(config, ctx, request, lookup) : planDeadLetter(config, request),
  );
}

async function planLog(config: Config, ctx: Context, request: ReplayRequest, lookup: Lookup): Promise<ReplayPlan> {
  const { sink, after } = request;
  const until = request.until ?? (await lastOf(config, ctx, sink));
  if (until <= after) {
    const line = `${sink} has nothing above ${after}: its last event is ${until}`;
    return { ...request, until, lines: [line], empty: true, readBefore: true };
  }
  const [first, last] = [await lookup.first(after), await lookup.at(until)];
  const between = await lookup.between(after, until);
  const has = await heldBy(config, sink);
  const lines = [
    `${between.exact ? '' : 'at most '}${between.events} events above ${after} up to ${until} are sent to ${sink} again`,
  ];
  if (first !== undefined && first.id <= until) lines.push(`the first is ${words(first)}`);
  if (last !== undefined)
    lines.push(last.id === until ? `the last is ${words(last)}` : `they end before ${words(last)}`);
  if (has !== undefined && until > has)
    lines.push(`those above ${has} were not delivered to ${sink} yet: they come once more when its turn comes`);
  if (lookup.trouble !== undefined)
    lines.push(`QA Sphere can't be asked just now, so times and events are not known here: ${lookup.trouble}`);
  return { ...request, until, lines, empty: false, readBefore: has !== undefined || first !== undefined };
}

async function planDeadLetter(config: Config, request: ReplayRequest): Promise<ReplayPlan> {
  const { sink, after } = request;
  const path = deadLetterOf(config, sink);
  await using source = await DeadLetterSource.open(path, after, request.until);
  const { size, first, last, unreadable, replaced } = source;
  const lines = [
    size === 0
      ? `nothing is set aside for ${sink} in ${path}`
      : `${size} events that were set aside for ${sink} are sent again, from ${first} to ${last}; the file stays as it is`,
  ];
  if (unreadable > 0) lines.push(`${unreadable} lines of ${path} can't be read and are left out`);
  if (replaced > 0) lines.push(`${replaced} older lines about the same ids with another text are left out`);
  return { ...request, until: last ?? request.until ?? after, lines, empty: size === 0, readBefore: true };
}

async function lastOf(config: Config, { emit, now }: Context, sink: string): Promise<Cursor> {
  const directory = checkpointsOf(config);
  const store = await FileStore.open({ directory, source: config.source.url, emit, now });
  const checkpoint = await store.load(sink);
  if (checkpoint === undefined)
    throw new UsageError(`${sink} has no checkpoint, so it has nothing yet: say --until ID`);
  return headOf(checkpoint);
}

/** The last id that the sink has, where a checkpoint of this tenant tells. */
async function heldBy(config: Config, sink: string): Promise<Cursor | undefined> {
  const good = usable(await readGenerations(checkpointsOf(config), sink));
  return good?.checkpoint.source === config.source.url ? headOf(good.checkpoint) : undefined;
}
