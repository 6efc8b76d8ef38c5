import { readFileSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/telemetry/status.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { statusRecordsIn } from '../support/heartbeat-search.ts';
import { startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';
import { tcpServer } from '../support/tcp-server.ts';

const { directory } = scratch();
const key = 'SIEM-LOG-ONLY-demo';
let runs = 0;

function configure(url: string, telemetry: string, more = ''): { file: string; state: string } {
  const state = join(directory, `state-${++runs}`);
  const file = join(directory, `config-${runs}.yaml`);
  const text = `source: { url: "${url}", apiKey: ${key}, schedule: "* * * * * *" ${more} }
state: { directory: "${state}" }
sinks: [{ type: stdout }]
telemetry: ${telemetry}
`;
  writeFileSync(file, text, { mode: 0o600 });
  return { file, state };
}

const lines = (stderr: string) => stderr.split('\n').filter((line) => line.startsWith('{'));
const events = (stderr: string) => lines(stderr).map((line) => JSON.parse(line) as Record<string, unknown>);
const addressIn = (stderr: string) =>
  events(stderr).find(({ event }) => event === 'telemetry.listening')?.['address'] as string | undefined;
const get = async (address: string | undefined, path: string) => {
  const response = await fetch(`http://${address}${path}`);
  return { status: response.status, text: await response.text() };
};

async function statusOf(file: string, ...flags: string[]) {
  const program = startProgram(['status', '-c', file, ...flags]);
  const code = await program.ended;
  return { code, out: program.stdout() };
}

describe('the running daemon', () => {
  it('serves its state over HTTP and its socket, and removes the socket at the end', async () => {
    await using simulator = await startSimulator({ events: 30, key });
    const { file } = configure(simulator.url, '{ listen: "127.0.0.1:0" }');
    expect((await statusOf(file, '--ready')).code).toBe(69);
    const daemon = startProgram(['run', '-c', file]);
    await daemon.until((stderr, stdout) => addressIn(stderr) !== undefined && stdout.split('\n').length > 30);
    const address = addressIn(daemon.stderr());
    expect(await get(address, '/readyz')).toEqual({ status: 200, text: '{"ready":true,"reasons":[]}\n' });
    expect((await get(address, '/livez')).status).toBe(200);
    expect((await get(address, '/metrics')).text).toContain('forwarder_events_delivered_total{sink="stdout"} 30\n');
    expect((await statusOf(file, '--ready')).code).toBe(0);
    const { code, out } = await statusOf(file, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out) as Status).toMatchObject({ ready: true, sinks: [{ name: 'stdout', delivered: 30 }] });
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
    expect(daemon.stderr()).toMatch(/"event":"daemon.stopping","signal":"SIGTERM".*\n.*"event":"daemon.stopped"/);
    expect((await statusOf(file, '--ready')).code).toBe(69);
  });

  it('writes only its log to standard error, also when it asks the kernel about its connections', async () => {
    await using simulator = await startSimulator({ events: 30, key });
    await using collector = await tcpServer();
    const { file } = configure(simulator.url, '{}');
    const text = readFileSync(file, 'utf8').replace(
      '{ type: stdout }',
      `{ type: syslog, address: "tcp://127.0.0.1:${collector.port}" }`,
    );
    writeFileSync(file, text, { mode: 0o600 });
    const daemon = startProgram(['once', '-c', file]);
    expect(await daemon.ended).toBe(0);
    const written = daemon.stderr().trimEnd().split('\n');
    expect(events(daemon.stderr())).toHaveLength(written.length);
    expect(written.length).toBeGreaterThan(1);
  });

  it('stays up and alive, but not ready, while the key is rejected', async () => {
    await using simulator = await startSimulator({ events: 3, key: 'another' });
    const { file } = configure(simulator.url, '{ listen: "127.0.0.1:0" }', ', onKeyRejected: wait');
    const daemon = startProgram(['run', '-c', file]);
    await daemon.until((stderr) => stderr.includes('source.refused') && addressIn(stderr) !== undefined);
    const address = addressIn(daemon.stderr());
    const ready = await get(address, '/readyz');
    expect(ready.status).toBe(503);
    expect(ready.text).toContain('key_refused');
    expect(ready.text).not.toContain(key);
    expect((await get(address, '/livez')).status).toBe(200);
    expect((await get(address, '/metrics')).text).toContain('forwarder_key_accepted 0\n');
    expect((await statusOf(file)).out).toContain('key refused');
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });

  it('delivers and reports the problem if its port is taken', async () => {
    await using simulator = await startSimulator({ events: 5, key });
    const { file } = configure(simulator.url, `{ listen: "127.0.0.1:${new URL(simulator.url).port}" }`);
    const daemon = startProgram(['run', '-c', file]);
    await daemon.until((stderr, stdout) => stderr.includes('telemetry.failed') && stdout.split('\n').length > 5);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });

  it('serves the status page on loopback only, and only under its own names', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { file } = configure(simulator.url, '{ listen: "0.0.0.0:0", hosts: [forwarder.example] }');
    const daemon = startProgram(['run', '-c', file]);
    await daemon.until((stderr) => addressIn(stderr) !== undefined);
    const port = Number(addressIn(daemon.stderr())?.split(':')[1]);
    const as = (host: string, path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asking = httpGet({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        asking.on('error', reject);
      });
    expect(await as('forwarder.example', '/livez')).toBe(200);
    expect(await as('forwarder.example', '/')).toBe(404);
    expect(await as('rebound.example', '/metrics')).toBe(421);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });

  it('moves its listener at a reload, and keeps its state', async () => {
    await using simulator = await startSimulator({ events: 30, key });
    const { file } = configure(simulator.url, '{ listen: "127.0.0.1:0" }');
    const daemon = startProgram(['run', '-c', file]);
    await daemon.until((stderr, stdout) => addressIn(stderr) !== undefined && stdout.split('\n').length > 30);
    const before = addressIn(daemon.stderr());
    writeFileSync(file, readFileSync(file, 'utf8').replace('"127.0.0.1:0"', '"127.0.0.1:0", page: false'));
    daemon.child.kill('SIGHUP');
    await daemon.until((stderr) => events(stderr).filter(({ event }) => event === 'telemetry.listening').length === 2);
    const after = events(daemon.stderr()).findLast(({ event }) => event === 'telemetry.listening')?.['address'];
    await expect(get(before, '/livez')).rejects.toThrow();
    expect((await get(String(after), '/')).status).toBe(404);
    const { out } = await statusOf(file, '--json');
    expect(JSON.parse(out) as Status).toMatchObject({ sinks: [{ name: 'stdout', delivered: 30 }] });
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });

  it('reports to a sink who moved its cursor while the daemon was stopped', async () => {
    await using simulator = await startSimulator({ events: 30, key });
    const { file } = configure(simulator.url, '{}');
    writeFileSync(file, readFileSync(file, 'utf8').replace('{ type: stdout }', '{ type: stdout, heartbeat: 5m }'));
    const first = startProgram(['run', '-c', file]);
    await first.until((_, stdout) => stdout.split('\n').length > 30);
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    const moved = startProgram(['cursor', 'set', 'stdout', '7', '--yes', '-c', file]);
    expect(await moved.ended, moved.stderr()).toBe(0);
    for (const times of [1, 0]) {
      const again = startProgram(['run', '-c', file]);
      await again.until((_, stdout) => statusRecordsIn(stdout).some(({ event }) => event === 'forwarder.configured'));
      again.child.kill('SIGTERM');
      expect(await again.ended).toBe(0);
      const moves = statusRecordsIn(again.stdout()).filter(({ event }) => event === 'forwarder.cursor_moved');
      expect(moves).toHaveLength(times);
      for (const move of moves)
        expect(move).toMatchObject({
          operation: 'cursor set',
          sink: 'stdout',
          to: { id: '7' },
          uid: process.getuid?.(),
        });
    }
  });
});
