import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { askStatus } from '../../src/telemetry/status-socket.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { scratch } from '../support/scratch.ts';
import { terminalMissing } from '../support/terminal.ts';

const { directory } = scratch();
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const key = 'SIEM-LOG-ONLY-demo';
const events = 1_500;
let daemons = 0;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Daemon {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly state: string;
  get(path: string): Promise<Response>;
}

/** The daemon. Its outputs are not read, except for what Node reads ahead. */
async function startDaemon(
  url: string,
  sinks: readonly string[],
  { level, inTerminal = false }: { level: string; inTerminal?: boolean },
): Promise<Daemon> {
  const address = `127.0.0.1:${await freePort()}`;
  const name = `daemon-${++daemons}`;
  const file = join(directory, `${name}.yaml`);
  const state = join(directory, name);
  const text = `source: { url: "${url}", apiKey: ${key}, schedule: "* * * * * *" }
state: { directory: "${state}" }
sinks: [${sinks.join(', ')}]
telemetry: { listen: "${address}" }
log: { level: ${level} }
shutdownTimeout: 2s
`;
  writeFileSync(file, text, { mode: 0o600 });
  const [command = '', ...args] = inTerminal
    ? ['script', '--quiet', '--return', '--command', `exec ${process.execPath} ${main} run -c ${file}`, '/dev/null']
    : [process.execPath, main, 'run', '-c', file];
  const child = spawn(command, args, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
  });
  return { child, state, get: (path) => fetch(`http://${address}${path}`) };
}

async function stop(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}

it('a stalled reader of standard error delays neither delivery nor /livez nor SIGTERM', async () => {
  await using simulator = await startSimulator({ events, key });
  await using hec = await startHecServer();
  // A long name and small batches, so that the log is larger than every buffer on its way.
  const name = 'x'.repeat(63);
  const sink = `{ name: ${name}, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", batch: { maxEvents: 1 } }`;
  const { child, get } = await startDaemon(simulator.url, [sink], { level: 'trace' });
  await hec.until(() => new Set(hec.events.map(({ raw }) => raw)).size >= events);
  expect((await get('/livez')).status).toBe(200);
  const metrics = await (await get('/metrics')).text();
  expect(Number(/^forwarder_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
  await stop(child);
});

it('a stalled reader of standard output delays no other sink, nor /livez nor SIGTERM', async () => {
  await using simulator = await startSimulator({ events, key });
  await using hec = await startHecServer();
  const splunk = `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`;
  const { child, get } = await startDaemon(simulator.url, [splunk, '{ name: console, type: stdout }'], {
    level: 'info',
  });
  child.stderr.resume();
  await hec.until(() => new Set(hec.events.map(({ raw }) => raw)).size >= events);
  expect((await get('/livez')).status).toBe(200);
  await stop(child);
});

/** Whether the process has ended; its parent may not have noticed. */
function hasEnded(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return true;
  }
}

const skipped = terminalMissing === undefined ? '' : ` (skipped: ${terminalMissing})`;

it.skipIf(terminalMissing)(`a stopped terminal delays no other sink, nor /livez nor SIGTERM${skipped}`, async () => {
  await using simulator = await startSimulator({ events, key });
  await using hec = await startHecServer();
  const splunk = `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`;
  const sinks = [splunk, '{ name: console, type: stdout }'];
  const { child, state, get } = await startDaemon(simulator.url, sinks, { level: 'trace', inTerminal: true });
  await hec.until(() => new Set(hec.events.map(({ raw }) => raw)).size >= events);
  expect((await get('/livez')).status).toBe(200);
  const { pid = 0 } = (await askStatus(state)) ?? {};
  process.kill(pid, 'SIGTERM');
  await expect.poll(() => hasEnded(pid), { timeout: 15_000 }).toBe(true);
  child.stdout.destroy();
  await once(child, 'exit');
});
