import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/testing/simulator/server.ts';
import { stateOf, statusRecordsIn } from '../support/heartbeat-search.ts';
import { startHecServer } from '../support/hec-server.ts';
import { type Program, startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';
import { tcpServer } from '../support/tcp-server.ts';

const { directory } = scratch();
const key = 'SIEM-LOG-ONLY-demo';
let runs = 0;

function configure(url: string, sink = 'type: stdout, heartbeat: 1s'): string {
  const file = join(directory, `config-${++runs}.yaml`);
  const text = `source: { url: "${url}", apiKey: ${key}, schedule: "* * * * * *", onKeyRejected: wait, timeout: 500ms }
state: { directory: "${join(directory, `state-${runs}`)}" }
sinks: [{ ${sink} }]
`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** Resolves with the next heartbeat. */
async function nextHeartbeat(program: Program): Promise<void> {
  const before = statusRecordsIn(program.stdout()).filter(({ event }) => event === 'forwarder.heartbeat').length;
  await program.until(
    (_, out) => statusRecordsIn(out).filter(({ event }) => event === 'forwarder.heartbeat').length > before,
  );
}

async function stop(program: Program): Promise<void> {
  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
}

/** The state according to the heartbeats alone, after `change` and one more heartbeat. */
async function stateAfter(simulator: Simulator, change: (program: Program) => Promise<void>, nowMs = Date.now) {
  const program = startProgram(['run', '-c', configure(simulator.url)]);
  await program.until((_, out) => statusRecordsIn(out).some(({ event }) => event === 'forwarder.heartbeat'));
  await change(program);
  await nextHeartbeat(program);
  const state = stateOf(statusRecordsIn(program.stdout()), nowMs());
  await stop(program);
  return { state, records: statusRecordsIn(program.stdout()) };
}

describe('heartbeats alone, read by the shipped search,', () => {
  it('show an idle API', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { state, records } = await stateAfter(simulator, async () => {});
    expect(state).toBe('ok');
    expect(records.map(({ event }) => event).slice(0, 2)).toEqual(['forwarder.started', 'forwarder.configured']);
    expect(records.at(-1)).toMatchObject({ event: 'forwarder.stopped', why: 'SIGTERM' });
  });

  it('reach Splunk too', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    await using hec = await startHecServer();
    const sink = `name: splunk, type: splunk-hec, heartbeat: 1s, url: "${hec.url}", token: "${hec.token}"`;
    const program = startProgram(['run', '-c', configure(simulator.url, sink)]);
    const own = () => statusRecordsIn(hec.events.map(({ raw }) => `${raw}\n`).join('')).map(({ event }) => event);
    await hec.until(() => own().filter((event) => event === 'forwarder.heartbeat').length >= 2);
    await stop(program);
    expect(new Set(own())).toEqual(
      new Set(['forwarder.started', 'forwarder.configured', 'forwarder.heartbeat', 'forwarder.stopped']),
    );
    expect(hec.requests.filter(({ kind, status }) => kind === 'data' && status !== 200)).toEqual([]);
  });

  it('end with the source as the reason if the source has failed for good', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const file = configure(simulator.url);
    writeFileSync(file, readFileSync(file, 'utf8').replace('onKeyRejected: wait', 'onKeyRejected: exit'));
    const program = startProgram(['run', '-c', file]);
    await program.until((_, out) => statusRecordsIn(out).some(({ event }) => event === 'forwarder.heartbeat'));
    simulator.setFaults([{ kind: '403', share: 1 }]);
    expect(await program.ended).toBe(77);
    expect(statusRecordsIn(program.stdout()).at(-1)).toMatchObject({ event: 'forwarder.stopped', why: 'source' });
  });

  it('show a network that drops everything between the forwarder and QA Sphere', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { state } = await stateAfter(simulator, async (program) => {
      simulator.setFaults([{ kind: 'slow', share: 1 }]);
      await program.until((stderr) => /"source.retry","reason":"timeout"/.test(stderr));
    });
    expect(state).toBe('source unreachable');
  });

  it('show a rejected key', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { state, records } = await stateAfter(simulator, async (program) => {
      simulator.setKey('another');
      await program.until((stderr) => stderr.includes('source.refused'));
    });
    expect(state).toBe('key refused');
    expect(records).toContainEqual(expect.objectContaining({ event: 'forwarder.interrupted', why: 'key_refused' }));
  });

  it('show a local clock that is an hour behind, and no missing heartbeat', async () => {
    const hour = 3_600_000;
    await using simulator = await startSimulator({ events: 3, key, clockOffsetMs: hour });
    const { state } = await stateAfter(
      simulator,
      async () => {},
      () => Date.now() + hour,
    );
    expect(state).toBe('local clock wrong');
  });

  it('show an unreadable page', async () => {
    let page = '{"after":1,"count":1,"events":[]}';
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'application/json').end(page);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { state } = await stateAfter({ url } as Simulator, async (program) => {
      page = '{"after":1,"count":1,"events":[{"id":"x"}]}';
      await program.until((stderr) => stderr.includes('source.unreadable'));
    });
    server.closeAllConnections();
    server.close();
    expect(state).toBe('page unreadable');
  });
});

describe('a missing heartbeat', () => {
  it('of a stopped process is explained by its next start, with the time in which nothing ran', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const file = configure(simulator.url);
    const first = startProgram(['run', '-c', file]);
    await first.until((_, out) => statusRecordsIn(out).some(({ event }) => event === 'forwarder.heartbeat'));
    await stop(first);
    expect(stateOf(statusRecordsIn(first.stdout()), Date.now() + 120_000)).toBe('missing heartbeat');
    const second = startProgram(['run', '-c', file]);
    await second.until((_, out) => statusRecordsIn(out).length > 0);
    const [started] = statusRecordsIn(second.stdout());
    expect(started).toMatchObject({ event: 'forwarder.started', down_seconds: expect.any(Number) });
    await stop(second);
  });

  it('of an unreachable sink is explained when the sink is back, with the duration of the outage', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const receiver = await tcpServer();
    const { port } = receiver;
    const file = configure(
      simulator.url,
      `type: syslog, address: "tcp://127.0.0.1:${port}", framing: newline, heartbeat: 1s`,
    );
    const program = startProgram(['run', '-c', file]);
    const heard = () => receiver.received.map((_, connection) => receiver.text(connection)).join('');
    await receiver.until(() => heard().includes('forwarder.heartbeat'));
    await receiver[Symbol.asyncDispose]();
    // An outage is reported from 30 s on.
    await new Promise((resolve) => setTimeout(resolve, 32_000));
    await using again = await tcpServer(() => {}, { port });
    const later = () => again.received.map((_, connection) => again.text(connection)).join('');
    await again.until(() => later().includes('forwarder.resumed'));
    const resumed =
      later()
        .split('\n')
        .find((line) => line.includes('forwarder.resumed')) ?? '';
    const { forwarder } = JSON.parse(resumed.slice(resumed.indexOf('{"forwarder"'))) as { forwarder: object };
    expect(forwarder).toMatchObject({ what: 'sink', why: 'network' });
    expect((forwarder as { seconds: number }).seconds).toBeGreaterThanOrEqual(30);
    await stop(program);
  });
});
