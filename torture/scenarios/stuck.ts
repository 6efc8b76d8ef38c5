import { startSimulator } from '../../src/testing/simulator/server.ts';
import { Checker, idOf } from '../engine/checker.ts';
import { type Row, Tally } from '../engine/table.ts';
import { key, Workspace } from '../engine/workspace.ts';
import { openCollectors } from '../fixtures/collectors.ts';
import { scenarios } from '../fixtures/namespaces.ts';
import type { Link } from '../fixtures/netem.ts';

const pageSize = 10;
const events = 100;
/** From this one on each event has so many bytes more: one such batch is more than the kernel takes below. */
const [bigFrom, bigBytes] = [60, 20_000];
/** The least, what is begun with, and the most that the kernel takes for a connection, bytes. */
const sendBuffer = '4096 65536 65536';
/** Past the ten seconds after which what is written and acknowledged counts as delivered, and within `timeout`. */
const [stuckMs, timeout] = [13_000, '17s'];
const sinks = { tcp: 'syslog tcp', tls: 'syslog tls' } as const;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The collector's host falls silent while small batches are under way, and a big one waits to be taken by the kernel behind
 * them. What waits is no more acknowledged than what was sent: nothing may count as delivered that the collector has not.
 */
export async function stuck(link: Link): Promise<Row> {
  const tally = new Tally(scenarios.stuck, 'all that was under way');
  link.exec('sh', '-c', `echo ${sendBuffer} > /proc/sys/net/ipv4/tcp_wmem`);
  await using made = await startSimulator({ events, key });
  const texts = (made.generated?.page(0n, events) ?? []).map((text, index) =>
    index < bigFrom ? text : `${text.slice(0, -1)},"more":"${'x'.repeat(bigBytes)}"}`,
  );
  await using opened = new AsyncDisposableStack();
  const simulator = opened.use(await startSimulator({ log: texts, key, requestsPerSecond: 1_000, latencyMs: 400 }));
  using workspace = new Workspace();
  const collectors = await openCollectors(sinks, { directory: workspace.directory }, opened);
  const entries = collectors.map(([name, { entry }]) => [
    name,
    `${entry}, timeout: ${timeout}, maxMessageBytes: 65536`,
  ]);
  workspace.configure({
    url: simulator.url,
    pageSize,
    sinks: Object.fromEntries(entries),
    more: `, timeout: ${timeout}`,
  });
  const running = workspace.start(['once', '--patience', '90s'], {}, []);
  let end = () => {};
  try {
    const ports = collectors.map(([, { entry }]) => /:(\d+)"/.exec(entry)?.[1]);
    const received = () => Promise.all(collectors.map(async ([, collector]) => (await collector.received()).length));
    while ((await received()).some((count) => count < pageSize)) {
      if (running.child.exitCode !== null) throw new Error('the forwarder ended before anything arrived');
      await wait(5);
    }
    const theirs = () => link.connections().filter(({ peerPort }) => ports.includes(peerPort));
    end = link.silence(theirs().map(({ port }) => port));
    await wait(stuckMs);
    if (theirs().filter(({ unacknowledgedBytes }) => unacknowledgedBytes > 0).length < collectors.length)
      tally.violation('nothing is under way: nothing is shown');
    for (const [name, collector] of collectors) {
      const covers = workspace.covers(name);
      const has = new Set((await collector.received()).map(({ text }) => idOf(text)));
      const early = texts.map(idOf).filter((id) => covers(id) && !has.has(id));
      if (early.length > 0) tally.violation(`${name}: the checkpoint holds ${early.length} that never arrived`);
    }
    const { code, stderr } = await running.ended;
    if (code !== 0) tally.violation(`ends with ${code}: ${stderr.slice(-200)}`);
    tally.run();
    for (const [name, collector] of collectors)
      tally.part(new Checker(texts).check(await collector.received(events)), events, name);
  } finally {
    running.child.kill('SIGKILL');
    end();
  }
  return tally.row();
}
