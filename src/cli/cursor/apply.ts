import { join } from 'node:path';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { FileStore } from '../../state/file/checkpoint-files.ts';
import {
  type Generation,
  isSameFile,
  moveFile,
  pathsOf,
  readGenerations,
  removeGenerations,
  sinksIn,
  usable,
} from '../../state/file/generations.ts';
import { appendOperation } from '../../state/file/operations.ts';
import { usingState } from '../../state/file/state-directory.ts';
import { type Checkpoint, CheckpointProblem } from '../../state/store.ts';
import { quoted } from '../arguments.ts';
import { UsageError } from '../command.ts';
import { type DeadLetterMove, deadLetterMoves, moveDeadLetters } from './dead-letters.ts';
import { checkpointsOf } from './list-cursors.ts';
import type { Plan } from './plan.ts';

type Parts = Pick<Context, 'now' | 'emit'>;

/** Puts the sink behind `id`, whatever state its checkpoint is in. The lock must be held. @throws {StateProblem} */
export async function applySet(config: Config, plan: Plan, id: Cursor, parts: Parts): Promise<void> {
  await recorded(config, plan, parts, () =>
    saveBoth(config, { sink: plan.sink, source: config.source.url, after: id, delivered: [], refusedInRow: 0 }, parts),
  );
}

/** Removes both generations: the next start goes by `startAt`. The lock must be held. @throws {StateProblem} */
export async function applyReset(config: Config, plan: Plan, parts: Parts): Promise<void> {
  await recorded(config, plan, parts, () => removeGenerations(checkpointsOf(config), plan.sink));
}

/** What a rename moves. */
export interface Rename {
  readonly sink: string;
  readonly to: string;
  readonly deadLetters: readonly DeadLetterMove[];
}

/**
 * Whether `sink` can be renamed: nothing of the new name may be there, but for what an earlier attempt that was cut off,
 * or a person, moved already. @throws {UsageError} @throws {CheckpointProblem} where there is no good generation
 */
export async function examineRename(config: Config, sink: string, to: string): Promise<Rename> {
  const directory = checkpointsOf(config);
  const [old, taken] = await Promise.all([readGenerations(directory, sink), readGenerations(directory, to)]);
  const paths = { old: pathsOf(directory, sink), taken: pathsOf(directory, to) };
  for (const which of ['newest', 'previous'] as const) {
    if (taken[which].kind === 'missing') continue;
    const moved = old[which].kind === 'missing' || (await isSameFile(paths.old[which], paths.taken[which]));
    if (!moved || !belongsTo(taken[which], sink))
      throw new UsageError(
        `${to} has a checkpoint already, and rename never overwrites: "cursor reset ${to}" first if it is not wanted`,
      );
  }
  const pair = {
    newest: old.newest.kind === 'missing' ? taken.newest : old.newest,
    previous: old.previous.kind === 'missing' ? taken.previous : old.previous,
  };
  if (pair.newest.kind === 'missing' && pair.previous.kind === 'missing')
    throw nameless(sink, await sinksIn(directory));
  for (const generation of [pair.newest, pair.previous])
    if (generation.kind === 'newer') throw new CheckpointProblem(generation.detail);
  if (usable(pair) === undefined)
    throw new CheckpointProblem(
      `the checkpoint of sink ${sink} is damaged: "cursor set ${sink} ID" or "cursor reset ${sink}" first`,
    );
  return { sink, to, deadLetters: await deadLetterMoves(join(config.state.directory, 'dead-letter'), sink, to) };
}

/**
 * Renames both generations and the dead letters. Cut off at any moment it leaves each file under one of the two names,
 * and the same command completes it. The lock must be held. @throws {StateProblem}
 */
export async function applyRename(config: Config, plan: Plan, rename: Rename, parts: Parts): Promise<void> {
  const { sink, to, deadLetters } = rename;
  const directory = checkpointsOf(config);
  await recorded(config, plan, parts, async () => {
    await moveDeadLetters(deadLetters);
    const [from, target] = [pathsOf(directory, sink), pathsOf(directory, to)];
    await moveFile(from.previous, target.previous);
    await moveFile(from.newest, target.newest);
    const good = usable(await readGenerations(directory, to));
    if (good === undefined) throw new Error('the moved checkpoint can not be read');
    await saveBoth(config, { ...good.checkpoint, sink: to }, parts);
  });
}

function nameless(sink: string, known: readonly string[]): UsageError {
  const others = known.length === 0 ? 'no sink has one' : `these have one: ${known.join(', ')}`;
  return new UsageError(`there is no checkpoint of sink ${quoted(sink)} to rename: ${others}`);
}

const belongsTo = (generation: Generation, sink: string) =>
  generation.kind === 'checkpoint' && generation.checkpoint.sink === sink;

/** Twice, so that no fallback leads back to where the sink stood. */
async function saveBoth(config: Config, checkpoint: Checkpoint, { now, emit }: Parts): Promise<void> {
  const directory = checkpointsOf(config);
  const store = await FileStore.open({ directory, source: config.source.url, emit, now });
  await store.save(checkpoint);
  await store.save(checkpoint);
}

/** The journal comes first: nothing is moved that it does not tell of. */
async function recorded(config: Config, plan: Plan, { now }: Parts, work: () => Promise<void>): Promise<void> {
  const { directory } = config.state;
  const { operation, sink, from, to, between } = plan;
  // What a rename changes is the name.
  const change = to.sink === undefined ? { from, to } : { from: sink, to: to.sink, cursor: from };
  const entry = { operation, sink, ...change, ...(between !== undefined && { between }) };
  await usingState(directory, async () => {
    await appendOperation({ directory, now }, entry);
    try {
      await work();
    } catch (error) {
      const failed = { ...entry, outcome: 'failed', detail: (error as Error).message };
      await appendOperation({ directory, now }, failed).catch(() => {});
      throw error;
    }
  });
}
