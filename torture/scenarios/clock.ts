import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { Checker, idOf } from '../engine/checker.ts';
import { compile } from '../engine/compile.ts';
import { forEachConcurrently, type Row, skipped, Tally } from '../engine/table.ts';
import { key, Workspace } from '../engine/workspace.ts';
import { type Collector, openCollectors } from '../fixtures/collectors.ts';

const second = 1_000;
const sinks = { hec: 'HEC', ack: 'HEC with ack', tcp: 'syslog tcp', relp: 'syslog relp' };
/** Events there are when the daemon starts, then so many a second. */
const first = 40;
const rate = 40;
const wanted = 700;
/** Deliveries may pause for so long at most; a clock that is an hour off must not cost an hour. */
const stallMs = 30 * second;

/** Clock offset in seconds from a number of milliseconds after the daemon's start. */
const jumps: Readonly<Record<string, readonly (readonly [afterMs: number, seconds: number])[]>> = {
  'back by an hour, then right again': [[5 * second, -3600], [12 * second, 0]],
  'back by a minute, twice': [[5 * second, -60], [12 * second, -120]],
  'forward by an hour, then right again': [[5 * second, 3600], [12 * second, 0]],
  'to before 1970 and on from there': [[5 * second, -3_000_000_000]],
}; // biome-ignore format: a table

/** The wall clock of the running daemon jumps: nothing lost, doubled or out of order, and no stall. */
export async function clockRows(only: (name: string) => boolean): Promise<Row[]> {
  const names = Object.keys(jumps).filter((name) => only(scenarioOf(name)));
  if (names.length === 0) return [];
  const directory = mkdtempSync(join(tmpdir(), 'torture-clock-'));
  try {
    const library = join(directory, 'clock.so');
    const why = compile('../fixtures/clock.c', library);
    if (why !== undefined) return names.map((name) => skipped(scenarioOf(name), why));
    const rows = new Map<string, Row>();
    await forEachConcurrently(names, async (name) => void rows.set(name, await row(name, library)));
    return names.flatMap((name) => rows.get(name) ?? []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const entriesOf = (collectors: Readonly<Record<string, Collector>>) =>
  Object.fromEntries(Object.entries(collectors).map(([name, { entry }]) => [name, entry]));

const scenarioOf = (name: string) => `the clock goes ${name}`;

async function row(name: string, library: string): Promise<Row> {
  const tally = new Tally(scenarioOf(name));
  const steps = jumps[name] ?? [];
  await using simulator = await startSimulator({ events: first, rate, key, late: { share: 0.1, delayMs: 500 } });
  using workspace = new Workspace();
  await using opened = new AsyncDisposableStack();
  // Longer than a busy machine may keep the daemon from asking, and shorter than the jumps.
  const options = { directory: workspace.directory, ackTimeout: '59s' };
  const collectors = Object.fromEntries(await openCollectors(sinks, options, opened));
  const more = ', settle: 2s, schedule: "* * * * * *"';
  workspace.configure({ url: simulator.url, pageSize: 100, sinks: entriesOf(collectors), more });
  const clock = steps.map((step) => step.join(':')).join(',');
  const running = workspace.start(['run'], { LD_PRELOAD: library, TORTURE_CLOCK: clock }, []);
  try {
    const log = simulator.generated;
    if (log === undefined) throw new Error('no generated log');
    const end = log.idAt(wanted);
    const expected = () => log.page(0n, 5_000).filter((text) => idOf(text) <= end);
    const isDone = (sink: string) =>
      expected().length > wanted && expected().every((text) => workspace.covers(sink)(idOf(text)));
    const watch = async ([name, collector]: [string, Collector]) => {
      for (let [count, movedAtMs] = [0, performance.now()]; !isDone(name); ) {
        const now = (await collector.received()).length;
        if (now !== count) [count, movedAtMs] = [now, performance.now()];
        if (running.child.exitCode !== null) return;
        if (performance.now() - movedAtMs > stallMs)
          return tally.violation(`${name}: nothing was delivered for ${stallMs / second} s`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await Promise.all(Object.entries(collectors).map(watch));
    const jumped = await jumpsIn(() => running.stderr(), steps.length);
    if (jumped < steps.length) tally.violation(`its log shows ${jumped} of ${steps.length} jumps: nothing is shown`);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    if (code !== 0) tally.violation(`ends with ${code}: ${stderr.slice(-200)}`);
    const checker = new Checker(expected());
    tally.run();
    for (const [sink, collector] of Object.entries(collectors)) {
      const received = (await collector.received()).filter(({ text }) => idOf(text) <= end);
      tally.part(checker.check(received, [], new Set(checker.ids)), 0, sink);
    }
  } finally {
    running.child.kill('SIGKILL');
  }
  return tally.row();
}

/** How often the log's own times leap, waiting for as many as are due: that the library has an effect. */
async function jumpsIn(stderr: () => string, due: number): Promise<number> {
  for (const startMs = performance.now(); ; ) {
    const times = [...stderr().matchAll(/"time":"([^"]+)"/g)].map(([, time = '']) => Date.parse(time));
    const leaps = times.filter((time, index) => Math.abs(time - (times[index - 1] ?? time)) > 30 * second).length;
    if (leaps >= due || performance.now() - startMs > stallMs) return leaps;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
