import { faultsOf } from './history.ts';
import type { Plan } from './plan.ts';
import type { Pool } from './pool.ts';

export interface Shrunk {
  readonly plan: Plan;
  /** What is broken in it. */
  readonly faults: readonly string[];
  /** Histories that it took. */
  readonly tried: number;
}

/** Timing is not repeated: what did not fail once is tried again. */
const tries = 2;

/**
 * Makes a plan that breaks a promise smaller while it still breaks it in the same way: fewer sinks, deaths, faults, events.
 * A plan that does not fail again comes back as it is, with no faults.
 */
export async function shrink(failing: Plan, pool: Pool): Promise<Shrunk> {
  let tried = 0;
  const failsAs = async (plan: Plan): Promise<readonly string[]> => {
    for (let attempt = 0; attempt < tries; attempt++) {
      tried++;
      let faults: string[] = [];
      await pool.play([plan], (outcome) => {
        faults = faultsOf(outcome);
      });
      if (faults.length > 0) return faults;
    }
    return [];
  };
  let plan = failing;
  let faults = await failsAs(plan);
  if (faults.length === 0) return { plan, faults, tried };
  const wanted = new Set(faults.map(nature));
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const smaller of smallerOnes(plan)) {
      const found = await failsAs(smaller);
      if (!found.some((fault) => wanted.has(nature(fault)))) continue;
      [plan, faults, isSmaller] = [smaller, found, true];
      break;
    }
  }
  return { plan, faults, tried };
}

/** A fault without what differs from run to run. */
const nature = (fault: string) => fault.replace(/\d+/g, 'N').replace(/".*/s, '');

/** Plans with a part less, the greatest parts first. */
export function* smallerOnes(plan: Plan): Generator<Plan> {
  const names = Object.keys(plan.sinks);
  if (names.length > 1)
    for (const kept of names)
      yield { ...plan, sinks: Object.fromEntries([[kept, plan.sinks[kept] as Plan['sinks'][string]]]) };
  for (const kills of less(plan.kills)) yield { ...plan, kills };
  const { net, ...calm } = plan.source;
  if (net !== undefined) yield { ...plan, source: calm };
  for (const faults of less(plan.source.faults)) yield { ...plan, source: { ...plan.source, faults } };
  for (const [name, sink] of Object.entries(plan.sinks)) {
    const { net: own, ...rest } = sink;
    const without = (one: Plan['sinks'][string]) => ({ ...plan, sinks: { ...plan.sinks, [name]: one } });
    if (own !== undefined) yield without(rest);
    for (const faults of less(sink.faults)) yield without({ ...sink, faults });
  }
  for (const events of [1, plan.events >> 2, plan.events >> 1, plan.events - 1])
    if (events >= 1 && events < plan.events) yield { ...plan, events };
}

/** None of them, either half, all but one. */
function* less<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length === 0) return;
  yield [];
  const half = items.length >> 1;
  if (half > 0) {
    yield items.slice(half);
    yield items.slice(0, half);
  }
  if (items.length > 2) for (const index of items.keys()) yield items.toSpliced(index, 1);
}
