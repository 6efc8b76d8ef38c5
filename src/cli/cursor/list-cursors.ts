import { join } from 'node:path';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { type Generations, readGenerations, sinksIn, usable } from '../../state/file/generations.ts';
import { usingState } from '../../state/file/state-directory.ts';
import type { Checkpoint } from '../../state/store.ts';

/** How the checkpoint of a sink stands: `fallback` is good, but from the generation before. */
export type CursorState = 'good' | 'fallback' | 'none' | 'damaged' | 'newer' | 'other tenant';

/** The checkpoint of one sink as it stands on disk. */
export interface CursorRow {
  readonly sink: string;
  readonly configured: boolean;
  readonly state: CursorState;
  /** What is wrong, one printable line. */
  readonly detail?: string;
  readonly after?: Cursor;
  /** The greatest id that the sink has. */
  readonly head?: Cursor;
  /** How many ids above `after` it has. */
  readonly delivered?: bigint;
  /** ISO 8601. */
  readonly updatedAt?: string;
  /** Origin of the tenant. */
  readonly source?: string;
}

export const checkpointsOf = ({ state }: Config) => join(state.directory, 'checkpoints');

/** The greatest id that is delivered. */
export const headOf = ({ after, delivered }: Checkpoint): Cursor => delivered.at(-1)?.[1] ?? after;

/** Names of the sinks that are configured or have a checkpoint. @throws the file system's error */
export async function knownSinks(config: Config): Promise<string[]> {
  return [...new Set([...config.sinks.map(({ name }) => name), ...(await sinksIn(checkpointsOf(config)))])];
}

/** Every sink that is configured or has a checkpoint. Reads alone. @throws {StateProblem} */
export async function lookAtCursors(config: Config): Promise<CursorRow[]> {
  const { directory } = config.state;
  return usingState(directory, async () => {
    const configured = config.sinks.map(({ name }) => name);
    const rows = (await knownSinks(config)).map(async (sink): Promise<CursorRow> => {
      const generations = await readGenerations(checkpointsOf(config), sink);
      return { sink, configured: configured.includes(sink), ...judge(generations, sink, config) };
    });
    return Promise.all(rows);
  });
}

function judge(generations: Generations, sink: string, config: Config): Omit<CursorRow, 'sink' | 'configured'> {
  const { newest, previous } = generations;
  const good = usable(generations);
  if (good === undefined) {
    const newer = [newest, previous].find(({ kind }) => kind === 'newer');
    if (newer?.kind === 'newer') return { state: 'newer', detail: newer.detail };
    const damaged = [newest, previous].find(({ kind }) => kind === 'damaged');
    if (damaged?.kind === 'damaged') return { state: 'damaged', detail: damaged.detail };
    return { state: 'none' };
  }
  const { checkpoint, updatedAt } = good;
  const { after, delivered, source } = checkpoint;
  const numbers = {
    after,
    head: headOf(checkpoint),
    delivered: delivered.reduce((sum, [from, to]) => sum + (to - from) + 1n, 0n),
    updatedAt,
    source,
  };
  if (checkpoint.sink !== sink)
    return { state: 'damaged', detail: `it belongs to sink ${checkpoint.sink}`, ...numbers };
  if (source !== config.source.url) return { state: 'other tenant', detail: `it belongs to ${source}`, ...numbers };
  if (good === newest && checkpoint.startMs !== undefined)
    return {
      state: 'good',
      detail: `its first start, at ${new Date(checkpoint.startMs).toISOString()}, is not done`,
      ...numbers,
    };
  if (good === newest) return { state: 'good', ...numbers };
  const why = newest.kind === 'damaged' ? `damaged (${newest.detail})` : 'missing';
  return { state: 'fallback', detail: `the newest file is ${why}, this is the generation before`, ...numbers };
}
