import { Dice } from '../src/simulate/dice.ts';
import type { FaultKind } from '../src/simulate/faults.ts';
import { startSimulator } from '../src/simulate/server.ts';
import type { Fault } from '../test/support/hec-server.ts';
import { type Collector, isPoison, kinds } from './collectors.ts';
import { Oracle } from './oracle.ts';
import { key, Place } from './place.ts';
import { each, type Row, Tally } from './table.ts';

const events = 120;
const pageSize = 40;

/** Weather at the source; what means "nothing new" or "not for you" is no weather. */
const sourceFaults: readonly [FaultKind, ...FaultKind[]] = [
  '408', '429', '429-bare', '500', '502', '503', '504', 'reset', 'reset-body', 'reset-after', 'truncated',
  'truncated-gzip', 'html', 'no-events',
]; // biome-ignore format: a list
const hecFaults: readonly [Fault, ...Fault[]] = [
  'busy', 'error', 'throttle', 'not-found', 'reset-before', 'reset-after', 'queue-warning',
]; // biome-ignore format: a list
const ackFaults: readonly [Fault, ...Fault[]] = [...hecFaults, 'ack-warning', 'swallow-ack', 'late-ack', 'lose-ack'];
const steps = ['send ', 'sent ', 'half-sent ', 'received ', 'http-end ', 'written stdout', 'rename console.json', 'sync checkpoints', 'http-response ', 'half-written ack.json.tmp'] as const; // biome-ignore format: a list

/** Faults after which what was taken may come again. */
const doubling: ReadonlySet<Fault> = new Set<Fault>(['reset-after', 'swallow-ack', 'lose-ack']);

export interface Weather {
  readonly histories: number;
  readonly seed: number;
}

/** Short histories: seeded faults of the source and of all sinks at once, with kills between. */
export async function scheduleRows({ histories, seed }: Weather, only: (name: string) => boolean): Promise<Row[]> {
  const scenario = 'random schedules: faults of the source and of five sinks at once, with kills';
  if (!only(scenario)) return [];
  const tally = new Tally(scenario, 'answers lost × in flight, and in flight at each kill');
  await each(
    Array.from({ length: histories }, (_, index) => seed + index),
    (one) => history(one, tally),
  );
  return [tally.row()];
}

const sinks = {
  hec: 'HEC',
  ack: 'HEC with ack',
  refusing: 'HEC, some refused',
  relp: 'syslog relp',
  console: 'stdout file',
};

async function history(seed: number, tally: Tally): Promise<void> {
  const dice = new Dice().aim(seed, 0);
  const share = dice.share() * 0.3;
  const faults = [0, 1].map(() => ({ kind: dice.pick(sourceFaults), share: share / 2 }));
  await using simulator = await startSimulator({ events, seed, key, faults, requestsPerSecond: 1_000 });
  using place = new Place();
  await using opened = new AsyncDisposableStack();
  const allowed: Record<string, number> = {};
  const collectors: Record<string, Collector> = {};
  for (const [index, [name, kind]] of Object.entries(sinks).entries()) {
    const own = new Dice().aim(seed, index + 1);
    let flight = () => 0;
    const fault = () => {
      if (own.share() >= share) return undefined;
      const hit = kind === 'syslog relp' ? 'reset-after' : own.pick(name === 'ack' ? ackFaults : hecFaults);
      if (doubling.has(hit)) allowed[name] = (allowed[name] ?? 0) + flight();
      return hit;
    };
    // A frame of RELP is one event: fewer of those meet a fault.
    let frames = 0;
    const relpFault = () => (++frames % 37 === 0 ? fault() : undefined);
    const collector = await kinds[kind]?.open({
      directory: place.directory,
      fault: name === 'relp' ? relpFault : fault,
    });
    if (collector === undefined) throw new Error(`no collector is called ${kind}`);
    opened.use(collector);
    flight = () => Math.min(events, collector.inFlight(pageSize));
    collectors[name] = collector;
  }
  const entries = Object.fromEntries(Object.entries(collectors).map(([name, { entry }]) => [name, entry]));
  place.configure({ url: simulator.url, pageSize, sinks: entries });
  for (let kills = dice.below(3); kills > 0; kills--) {
    const { code } = await place.once({ TORTURE_KILL_AT: `${dice.pick(steps)} ${dice.below(6)}` }, '60s');
    if (code !== 'SIGKILL' && code !== 0) tally.violation(`ends with ${code} (seed ${seed})`);
    for (const [name, collector] of Object.entries(collectors))
      allowed[name] = (allowed[name] ?? 0) + Math.min(events, collector.inFlight(pageSize));
  }
  const { code, stderr } = await place.once({}, '60s');
  if (code !== 0) tally.violation(`ends with ${code} (seed ${seed}): ${stderr.slice(-200)}`);
  const oracle = new Oracle(simulator.generated?.page(0n, events) ?? []);
  for (const [name, collector] of Object.entries(collectors)) {
    const aside = place.aside(name);
    const poison = name === 'refusing' ? oracle.texts.filter(isPoison).length : 0;
    if (aside.length !== poison)
      tally.violation(`${name}: ${aside.length} set aside instead of ${poison} (seed ${seed})`);
    tally.add(oracle.judge(await collector.held(events - poison), aside), allowed[name] ?? 0, `${name}, seed ${seed}`);
  }
}
