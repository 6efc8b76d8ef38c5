import { faultsOf, type Outcome, play } from '../engine/history.ts';
import { commandOf, type Plan, planOf } from '../engine/plan.ts';
import { Pool } from '../engine/pool.ts';
import { shrink } from '../engine/shrink.ts';
import { forEachConcurrently, type Row, Tally } from '../engine/table.ts';

export interface HistoryOptions {
  /** Histories within this process and its children. */
  readonly histories: number;
  /** Histories whose program is a separate process, killed with SIGKILL. */
  readonly processes: number;
  readonly seed: number;
}

const bound = 'answers lost × in flight, and in flight at each death';

/** Short histories: seeded faults of the source, of all sinks and of the network between, with deaths between. */
export async function historyRows(
  { histories, processes, seed }: HistoryOptions,
  only: (name: string) => boolean,
): Promise<Row[]> {
  const rows: Row[] = [];
  const killed = 'random schedules: faults of the source and of eleven sinks at once, with kills';
  if (only(killed)) {
    const tally = new Tally(killed, bound);
    await forEachConcurrently(seedsFrom(seed, processes), async (one) => {
      const plan = planOf(one, false);
      record(tally, await asProcess(plan), plan);
    });
    rows.push(tally.row());
  }
  const many = 'random histories in one process: the same, and faults of the network';
  if (only(many)) rows.push(await thousands(many, histories, seed));
  return rows;
}

const seedsFrom = (seed: number, count: number) => Array.from({ length: count }, (_, index) => seed + index);

/** Executes a history with a separate process for each run. */
export const asProcess = (plan: Plan): Promise<Outcome> =>
  play(plan, (workspace, killAt) => workspace.once(killAt === undefined ? {} : { TORTURE_KILL_AT: killAt }, '60s'));

function record(tally: Tally, outcome: Outcome, { seed }: Plan): void {
  tally.run();
  for (const { sink, account, allowed } of outcome.accounts) tally.part(account, allowed, `${sink}, seed ${seed}`);
  for (const violation of outcome.violations) tally.violation(`${violation} (seed ${seed})`);
}

async function thousands(scenario: string, histories: number, seed: number): Promise<Row> {
  const tally = new Tally(scenario, bound);
  const failed: Plan[] = [];
  using pool = new Pool();
  // Stop after a few failures: more of them add no information.
  await pool.play(
    seedsFrom(seed, histories).map((one) => planOf(one, true)),
    (outcome, plan) => {
      record(tally, outcome, plan);
      if (faultsOf(outcome).length > 0) failed.push(plan);
    },
    () => failed.length >= 5,
  );
  const [first] = failed;
  if (first !== undefined) {
    console.log(`seed ${first.seed} breaks a promise; again: npm run torture -- seed ${first.seed}`);
    const { plan, faults, tried } = await shrink(first, pool);
    console.log(`made smaller in ${tried} histories: ${faults.join('; ')}\n  ${commandOf(plan)}`);
  }
  return tally.row();
}
