import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { printable } from '../../lib/printable.ts';
import { ignoreStateProblem, type StateStore } from '../../state/store.ts';
import type { Plan } from './plan.ts';

/** Moves the cursor of the sink to `id`, whatever state its checkpoint is in. @throws {StateProblem} */
export async function applySet(config: Config, store: StateStore, plan: Plan, id: Cursor): Promise<void> {
  const { sink } = plan;
  const stored = (await store.inspect()).find((found) => found.sink === sink)?.checkpoint;
  // The seal in progress ends where the cursor was; the next start sees that it moved.
  const seal = stored?.seal === undefined || stored.source !== config.source.url ? {} : { seal: stored.seal };
  const checkpoint = { sink, source: config.source.url, after: id, delivered: [], refusedInRow: 0, ...seal };
  await recorded(store, plan, () => store.overwrite(checkpoint));
}

/** Removes the checkpoint: the next start uses `startAt`. @throws {StateProblem} */
export function applyReset(store: StateStore, plan: Plan): Promise<void> {
  return recorded(store, plan, () => store.remove(plan.sink));
}

/** Renames the checkpoint and the dead letters. If it is interrupted, the same command completes it. @throws {StateProblem} */
export function applyRename(store: StateStore, plan: Plan, to: string): Promise<void> {
  return recorded(store, plan, () => store.rename(plan.sink, to));
}

/** The operations log comes first: nothing is moved that it does not mention. */
async function recorded(store: StateStore, plan: Plan, work: () => Promise<void>): Promise<void> {
  const { operation, sink, from, to, between } = plan;
  // A rename changes the name only.
  const change = to.sink === undefined ? { from, to } : { from: sink, to: to.sink, cursor: from };
  const entry = { operation, sink, ...change, ...(between !== undefined && { between }) };
  await store.record(entry);
  try {
    await work();
  } catch (error) {
    const detail = printable((error as Error).message, 1000);
    await store.record({ ...entry, outcome: 'failed', detail }).catch(ignoreStateProblem);
    throw error;
  }
}
