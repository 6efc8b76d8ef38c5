import { asProcess } from '../scenarios/random-histories.ts';
import { faultsOf, type Outcome } from './history.ts';
import { commandOf, type Plan, planOf } from './plan.ts';
import { Pool } from './pool.ts';
import { shrink } from './shrink.ts';

/** Replays one history if the arguments ask for it. Returns the exit code, or undefined if they do not. */
export async function replayHistory([what, which = '']: readonly string[]): Promise<number | undefined> {
  if (what === 'plan') {
    const plan = JSON.parse(which) as Plan;
    using pool = new Pool();
    let inside: Outcome | undefined;
    await pool.play([plan], (outcome) => {
      inside = outcome;
    });
    const faults = { inside: inside === undefined ? [] : faultsOf(inside), process: faultsOf(await asProcess(plan)) };
    for (const [where, found] of Object.entries(faults)) console.log(`${where}: ${found.join('; ') || 'held'}`);
    return faults.inside.length + faults.process.length > 0 ? 1 : 0;
  }
  if ((what !== 'seed' && what !== 'shrink') || !/^\d+$/.test(which)) return undefined;
  using pool = new Pool();
  const { plan, faults, tried } = await shrink(planOf(Number(which), true), pool);
  if (faults.length === 0) {
    console.log(`held, ${tried} times`);
    return 0;
  }
  console.log(`VIOLATED ${faults.join('; ')}\nmade smaller in ${tried} histories:\n  ${commandOf(plan)}`);
  return 1;
}
