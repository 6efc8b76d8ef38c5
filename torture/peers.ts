/** Runs among the peers of a forwarder in another network namespace; its rows go to standard output. See namespaces.ts. */
import { startSimulator } from '../src/testing/simulator/server.ts';
import { type Collector, openCollectors } from './collectors.ts';
import { type Namespaces, type Scenario, scenarios } from './namespaces.ts';
import { Oracle } from './oracle.ts';
import { key, Place, type Run } from './place.ts';
import { stuck } from './stuck.ts';
import { type Row, skipped, Tally } from './table.ts';
import { Link } from './weather.ts';

const [given = '', ...wanted] = process.argv.slice(2);
const link = new Link(JSON.parse(given) as Namespaces);
const events = 300;
const pageSize = 10;
/**
 * Not whole seconds: the kernel repeats a SYN each second, and a try that connects with its last breath is given up with its
 * events delivered, so that they would come once more than was in flight when the outage began.
 */
const timeout = '2500ms';
/** Longer than the kernel goes on repeating a packet that is lost with bad luck. */
const patientTimeout = '15s';
const sinks = { hec: 'HEC', ack: 'HEC with ack', tcp: 'syslog tcp', tls: 'syslog tls', relp: 'syslog relp' } as const;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nothing gets through, once what was under way has arrived. */
const severed: ReadonlySet<Scenario> = new Set<Scenario>(['link', 'drop']);
const settledMs = 500;

/** Why the kernel can't do it; undefined where it can. */
function missing(which: Exclude<Scenario, 'stuck' | 'gone'>): string | undefined {
  try {
    link.weather(which).begin()();
    return undefined;
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim().split('\n')[0] ?? '';
    return said || (error as Error).message.slice(0, 80);
  }
}

async function play(which: Scenario): Promise<Row> {
  if (which === 'stuck') return stuck(link);
  const why = which === 'gone' ? undefined : missing(which);
  if (why !== undefined) return skipped(scenarios[which], why);
  const { ms, begin } = link.weather(which);
  const tally = new Tally(
    scenarios[which],
    ms === undefined
      ? 'HEC and RELP 0; streams all, where a SYN was lost'
      : 'in flight at the outage: HEC and RELP 10, the others all',
  );
  await using opened = new AsyncDisposableStack();
  const simulator = opened.use(await startSimulator({ events, key, requestsPerSecond: 1_000, latencyMs: 100 }));
  using place = new Place();
  const collectors = await openCollectors(sinks, { directory: place.directory }, opened);
  const limit = ms === undefined ? patientTimeout : timeout;
  const entries = collectors.map(([name, { entry }]) => [name, `${entry}, timeout: ${limit}`]);
  place.configure({ url: simulator.url, pageSize, sinks: Object.fromEntries(entries), more: `, timeout: ${limit}` });
  let end = ms === undefined ? begin() : () => {};
  const running = place.start(['once', '--patience', '60s'], {}, []);
  try {
    if (ms !== undefined) {
      await halfway(running, collectors);
      end = begin();
      await wait(settledMs);
      const before = await Promise.all(collectors.map(async ([, collector]) => (await collector.held()).length));
      await wait(ms - settledMs);
      const after = await Promise.all(collectors.map(async ([, collector]) => (await collector.held()).length));
      if (before.some((count) => count >= events)) tally.violation('all had arrived before: nothing is shown');
      if (severed.has(which) && before.join() !== after.join()) tally.violation('records came through a dead link');
    }
    if (ms !== undefined) end();
    const { code, stderr } = await running.ended;
    if (code !== 0) tally.violation(`ends with ${code}: ${stderr.slice(-200)}`);
    const oracle = new Oracle(simulator.generated?.page(0n, events) ?? []);
    tally.run();
    for (const [name, collector] of collectors) {
      if (!oracle.ids.every(place.covers(name))) tally.violation(`${name}: ends without a whole checkpoint`);
      // A connection whose SYN had to be repeated proves nothing of the one before (docs/syslog.md): the log tells.
      const isRepeated = stderr
        .split('\n')
        .some((line) => line.includes(`"sink":"${name}"`) && line.includes('it went elsewhere'));
      const most = ms === undefined && !isRepeated ? 0 : Math.min(events, collector.inFlight(pageSize));
      tally.part(oracle.judge(await collector.held(events)), most, name);
    }
  } finally {
    running.child.kill('SIGKILL');
    if (ms === undefined) end();
  }
  return tally.row();
}

/** Until every collector has something and none has all. */
async function halfway({ child }: Run, collectors: readonly (readonly [string, Collector])[]): Promise<void> {
  for (;;) {
    const counts = await Promise.all(collectors.map(async ([, collector]) => (await collector.held()).length));
    if (counts.every((count) => count >= 2 * pageSize)) return;
    if (child.exitCode !== null) throw new Error('the forwarder ended before the weather began');
    await wait(10);
  }
}

const rows: Row[] = [];
for (const which of wanted as Scenario[]) rows.push(await play(which));
process.stdout.write(JSON.stringify(rows), () => process.exit(0));
