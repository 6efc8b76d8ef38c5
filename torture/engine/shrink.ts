import { faultsOf } from './history.ts';
import type { Plan } from './plan.ts';
import type { Pool } from './pool.ts';

export interface Shrunk {
  readonly plan: Plan;
  /** The promises that it breaks. */
  readonly faults: readonly string[];
  /** Number of histories that were run. */
  readonly tried: number;
}

/** Timing varies between runs, so each plan is tried this often. */
const tries = 2;
/** Number of smaller plans tried at once. */
const atOnce = 12;

/**
 * Shrinks a failing plan as long as it fails in the same way: fewer sinks, kills, faults and events. A plan that does not
 * fail again is returned unchanged, without faults.
 */
export async function shrink(failing: Plan, pool: Pool): Promise<Shrunk> {
  let tried = 0;
  /** What is broken, by plan. */
  const faultsIn = async (plans: readonly Plan[]) => {
    const found = new Map<Plan, string[]>();
    const often = plans.flatMap((plan) => Array.from({ length: tries }, () => plan));
    tried += often.length;
    await pool.play(often, (outcome, plan) => found.set(plan, [...(found.get(plan) ?? []), ...faultsOf(outcome)]));
    return found;
  };
  let plan = failing;
  let faults = (await faultsIn([plan])).get(plan) ?? [];
  const wanted = new Set(faults.map(nature));
  const isTried = new Set<string>();
  for (let isDone = faults.length === 0; !isDone; ) {
    const smaller = [...smallerOnes(plan)].filter((one) => !isTried.has(JSON.stringify(one))).slice(0, atOnce);
    for (const one of smaller) isTried.add(JSON.stringify(one));
    const found = await faultsIn(smaller);
    const next = smaller.find((one) => found.get(one)?.some((fault) => wanted.has(nature(fault))));
    if (next !== undefined) [plan, faults] = [next, found.get(next) ?? []];
    isDone = smaller.length === 0;
  }
  return { plan, faults: [...new Set(faults)], tried };
}

/** A fault without the parts that differ from run to run. */
const nature = (fault: string) => fault.replace(/\d+/g, 'N').replace(/".*/s, '');

/** Plans with one part removed, the largest parts first. */
function* smallerOnes(plan: Plan): Generator<Plan> {
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
  for (const events of [1, plan.events >> 2, plan.events >> 1, plan.events - 16, plan.events - 4, plan.events - 1])
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
