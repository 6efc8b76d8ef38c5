import { join } from 'node:path';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { Checker } from '../engine/checker.ts';
import { falseCheckpointText, inFlight } from '../engine/in-flight.ts';
import { orderFaults, type Point, readTrace, sampled } from '../engine/kill-points.ts';
import { sealFaults } from '../engine/seals.ts';
import { forEachConcurrently, type Row, skipped, Tally } from '../engine/table.ts';
import { key, Workspace } from '../engine/workspace.ts';
import { type Collector, isPoison, kinds } from '../fixtures/collectors.ts';

const events = 120;
const pageSize = 40;

export interface KillOptions {
  /** At most so many points a kind of sink. */
  readonly points: number;
  readonly seed: number;
}

/** A kill at every point at which anything leaves the process, reaches the disk or comes back; then goes on. */
export async function killRows(options: KillOptions, only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [kind, { missing }] of Object.entries(kinds)) {
    const scenario = `kill -9 at every step: ${kind}`;
    if (!only(scenario)) continue;
    rows.push(missing === undefined ? await killEverywhere(scenario, kind, options) : skipped(scenario, missing));
  }
  return rows;
}

async function killEverywhere(scenario: string, kind: string, { points, seed }: KillOptions): Promise<Row> {
  await using simulator = await startSimulator({ events, key, requestsPerSecond: Number.POSITIVE_INFINITY });
  const texts = simulator.generated?.page(0n, events) ?? [];
  const checker = new Checker(texts);
  const poison = kind.includes('refused') ? texts.filter(isPoison).length : 0;
  const tally = new Tally(scenario);

  const around = async (work: (workspace: Workspace, collector: Collector) => Promise<void>) => {
    using workspace = new Workspace();
    const opened = await kinds[kind]?.open({ directory: workspace.directory });
    if (opened === undefined) throw new Error(`no collector is called ${kind}`);
    await using collector = opened;
    workspace.configure({ url: simulator.url, pageSize, sinks: { sink: collector.entry } });
    await work(workspace, collector);
  };
  const settle = async (workspace: Workspace, collector: Collector, most: number, where: string) => {
    if (!checker.ids.every(workspace.covers('sink'))) tally.violation(`ends without a whole checkpoint (${where})`);
    const deadLetters = workspace.deadLetters('sink');
    const received = await collector.received(events - deadLetters.length);
    const account = checker.check(received, deadLetters);
    for (const fault of await sealFaults(workspace, 'sink', received)) tally.violation(`${fault} (${where})`);
    tally.add(account, most, where);
    if (deadLetters.length !== poison)
      tally.violation(`${deadLetters.length} set aside instead of ${poison} (${where})`);
  };

  let found: Point[] = [];
  await around(async (workspace, collector) => {
    const trace = join(workspace.directory, 'trace');
    const { code, stderr } = await workspace.once({ TORTURE_TRACE: trace });
    if (code !== 0) return tally.violation(`without a kill it ends with ${code}: ${stderr.slice(-300)}`);
    found = readTrace(trace);
    for (const fault of orderFaults(found)) tally.violation(fault);
    await settle(workspace, collector, 0, 'no kill');
  });

  const flight = { most: 0, unreached: 0 };
  await forEachConcurrently(sampled(found, points, seed), (at) =>
    around(async (workspace, collector) => {
      const where = `killed at ${at}`;
      const { code } = await workspace.once({ TORTURE_KILL_AT: at });
      // A run takes its reads in other pieces than the dry one and may have one point fewer of a kind.
      if (code === 0) flight.unreached++;
      if (code !== 'SIGKILL' && code !== 0) return tally.violation(`ends with ${code} (${where})`);
      const { open, falseCheckpoints } = await inFlight(workspace, 'sink', collector, checker);
      if (falseCheckpoints > 0) tally.violation(`${falseCheckpointText(falseCheckpoints)} (${where})`);
      flight.most = Math.max(flight.most, open);
      const allowed = collector.inFlight(pageSize);
      if (open > allowed) tally.violation(`${open} were in flight, at most ${allowed} may be (${where})`);
      const again = await workspace.once();
      if (again.code !== 0)
        tally.violation(`goes on and ends with ${again.code} (${where}): ${again.stderr.slice(-300)}`);
      await settle(workspace, collector, collector.isExact === true ? 0 : open, where);
      tally.bound(
        Number.isFinite(allowed) ? `in flight, at most ${Math.min(allowed, events)}` : `in flight, here ${flight.most}`,
      );
    }),
  );
  // With few points, one such run is tolerated.
  if (flight.unreached > Math.max(1, points / 4))
    tally.violation(`${flight.unreached} runs never came to their point: nothing is shown`);
  return tally.row();
}
