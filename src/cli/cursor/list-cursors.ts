import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import type { Checkpoint, CheckpointCondition, CheckpointState, SharedState } from '../../state/store.ts';

/** The checkpoint of one sink as it is stored. */
export interface CursorRow {
  readonly sink: string;
  readonly configured: boolean;
  /** `none`: there is no checkpoint. */
  readonly state: CheckpointCondition | 'none';
  /** What is wrong, one printable line. */
  readonly detail?: string;
  readonly after?: Cursor;
  /** The greatest id that is delivered. */
  readonly head?: Cursor;
  /** How many ids above `after` are delivered. */
  readonly delivered?: bigint;
  /** ISO 8601. */
  readonly updatedAt?: string;
  /** Origin of the tenant. */
  readonly source?: string;
}

/** The greatest id that is delivered. */
export const headOf = ({ after, delivered }: Checkpoint): Cursor => delivered.at(-1)?.[1] ?? after;

/** Every sink that is configured or has a checkpoint, the configured ones first. Changes nothing. @throws {StateProblem} */
export async function listCursors(config: Config, state: SharedState): Promise<CursorRow[]> {
  const states = new Map((await state.inspect()).map((found) => [found.sink, found]));
  const configured = config.sinks.map(({ name }) => name);
  return [...new Set([...configured, ...states.keys()])].map((sink) => ({
    sink,
    configured: configured.includes(sink),
    ...rowOf(states.get(sink)),
  }));
}

function rowOf(found: CheckpointState | undefined): Omit<CursorRow, 'sink' | 'configured'> {
  if (found === undefined) return { state: 'none' };
  const { condition, checkpoint, updatedAt } = found;
  const detail = found.detail ?? pendingStart(checkpoint);
  return {
    state: condition,
    ...(detail !== undefined && { detail }),
    ...(checkpoint !== undefined && {
      after: checkpoint.after,
      head: headOf(checkpoint),
      delivered: checkpoint.delivered.reduce((sum, [from, to]) => sum + (to - from) + 1n, 0n),
      source: checkpoint.source,
    }),
    ...(updatedAt !== undefined && { updatedAt }),
  };
}

const pendingStart = (checkpoint: Checkpoint | undefined) =>
  checkpoint?.startMs === undefined
    ? undefined
    : `the position of its first start, at ${new Date(checkpoint.startMs).toISOString()}, is not found yet`;
