import { once } from 'node:events';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../../test/support/hec-server.ts';
import { tcpServer } from '../../test/support/tcp-server.ts';
import { Checker, idOf } from '../engine/checker.ts';
import { type Row, Tally } from '../engine/table.ts';
import { key, Workspace } from '../engine/workspace.ts';
import { framesOf, hecToken, kinds } from '../fixtures/collectors.ts';

/** Promises that no kill and no damage touches. */
export async function promiseRows(only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [scenario, run] of Object.entries(scenarios)) {
    if (!only(scenario)) continue;
    const tally = new Tally(scenario);
    await run(tally);
    rows.push(tally.row());
  }
  return rows;
}

const scenarios: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  'refused: the API answers 403': sourceRefuses,
  'refused: HEC answers 403': hecRefuses,
  'late events: a fifth appears 1.5 s behind newer ones': lateEvents,
  'stopped: a collector throws away what it read and closes in good order': stoppedCollector,
};

/** One request, then exit code 77, and no checkpoint advances. */
async function sourceRefuses(tally: Tally): Promise<void> {
  await using simulator = await startSimulator({ events: 40, key, faults: [{ kind: '403', share: 1 }] });
  using workspace = new Workspace();
  workspace.configure({ url: simulator.url, pageSize: 40, sinks: { sink: 'type: stdout' } });
  const { code } = await workspace.once({}, '4s');
  tally.run();
  if (code !== 77) tally.violation(`ends with ${code} instead of 77`);
  if (simulator.requestCount > 1) tally.violation(`a refused key was tried ${simulator.requestCount} times`);
}

/** The sink parks and sets nothing aside; once the token is valid, every event arrives exactly once. */
async function hecRefuses(tally: Tally): Promise<void> {
  await using simulator = await startSimulator({ events: 120, key, requestsPerSecond: Number.POSITIVE_INFINITY });
  await using hec = await startHecServer({ token: 'another' });
  using workspace = new Workspace();
  const entry = `type: splunk-hec, url: "${hec.url}", token: "${hecToken}", acknowledgement: false`;
  workspace.configure({ url: simulator.url, pageSize: 40, sinks: { sink: entry } });
  const { code } = await workspace.once({}, '4s');
  if (code !== 69) tally.violation(`ends with ${code} instead of 69`);
  const asked = hec.requests.filter(({ kind }) => kind === 'data').length;
  if (asked > 1) tally.violation(`a refused token was tried ${asked} times`);
  hec.renew(hecToken);
  const again = await workspace.once();
  if (again.code !== 0) tally.violation(`goes on and ends with ${again.code}`);
  const received = hec.events.map(({ raw }) => ({ text: String(raw) }));
  tally.add(
    new Checker(simulator.generated?.page(0n, 200) ?? []).check(received, workspace.deadLetters('sink')),
    0,
    '403',
  );
}

async function lateEvents(tally: Tally): Promise<void> {
  const late = { share: 0.2, delayMs: 1_500 };
  await using simulator = await startSimulator({ events: 40, rate: 40, late, key });
  using workspace = new Workspace();
  const opened = await kinds['HEC']?.open({ directory: workspace.directory });
  if (opened === undefined) throw new Error('no HEC');
  await using collector = opened;
  const more = ', settle: 3s, schedule: "* * * * * *"';
  workspace.configure({ url: simulator.url, pageSize: 100, sinks: { sink: collector.entry }, more });
  const running = workspace.start(['run']);
  try {
    const log = simulator.generated;
    if (log === undefined) throw new Error('no generated log');
    const end = log.idAt(160);
    // On a busy machine the process itself may take longer to start than its events to arrive.
    while (running.child.exitCode === null && !running.stderr().includes('"pipeline.start"'))
      await new Promise((resolve) => setTimeout(resolve, 100));
    const deadline = performance.now() + 25_000;
    const expected = () => log.page(0n, 2_000).filter((text) => idOf(text) <= end);
    const isDone = () => expected().length >= 161 && expected().every((text) => workspace.covers('sink')(idOf(text)));
    while (!isDone() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
    running.child.kill('SIGTERM');
    const { code } = await running.ended;
    if (code !== 0) tally.violation(`ends with ${code}`);
    const checker = new Checker(expected());
    const received = (await collector.received()).filter(({ text }) => idOf(text) <= end);
    tally.add(checker.check(received, [], new Set(checker.ids)), 0, 'late events');
  } finally {
    running.child.kill('SIGKILL');
  }
}

/** Ten seconds confirm a batch (docs/syslog.md), so a close later than this, milliseconds, proves nothing. */
const soonMs = 9_000;
const MAX_TRIES = 5;

async function stoppedCollector(tally: Tally): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) if (await stopsSoon(tally)) return;
  tally.violation(`the machine was too busy: ${MAX_TRIES} imports of 120 events took more than ${soonMs} ms each`);
}

/**
 * The collector's close looks like the answer to a half-close; its successor must receive everything again. Returns false
 * if the close came too late to prove anything.
 */
async function stopsSoon(tally: Tally): Promise<boolean> {
  await using simulator = await startSimulator({ events: 120, key, requestsPerSecond: Number.POSITIVE_INFINITY });
  await using stopped = await tcpServer(
    (socket) =>
      socket.on('end', () => {
        stopped.server.close();
        socket.end();
      }),
    { allowHalfOpen: true },
  );
  using workspace = new Workspace();
  const entry = `type: syslog, address: "tcp://127.0.0.1:${stopped.port}"`;
  workspace.configure({ url: simulator.url, pageSize: 40, sinks: { sink: entry } });
  const closed = once(stopped.server, 'close');
  const startedMs = performance.now();
  const running = workspace.start(['once', '--patience', '10s']);
  const early = await Promise.race([closed.then(() => undefined), running.ended]);
  if (early !== undefined) {
    tally.violation(`ends with ${early.code} before the collector was asked to close: ${early.stderr.slice(-200)}`);
    return true;
  }
  const isSoon = performance.now() - startedMs < soonMs;
  // Whoever is started in its place takes longer than the next connection does.
  const gone = () => running.stderr().includes('"event":"pipeline.retry"') || running.child.exitCode !== null;
  while (!gone()) await new Promise((resolve) => setTimeout(resolve, 20));
  await using started = await tcpServer(undefined, { port: stopped.port });
  const { code } = await running.ended;
  if (!isSoon) return false;
  if (code !== 0) tally.violation(`ends with ${code} instead of 0`);
  const received = started.received.flatMap((pieces) => framesOf(Buffer.concat(pieces)));
  tally.add(
    new Checker(simulator.generated?.page(0n, 200) ?? []).check(received, workspace.deadLetters('sink')),
    0,
    'stopped',
  );
  return true;
}
