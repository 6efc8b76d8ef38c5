import { appendFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { change, read, stop } from '../support/reload.ts';
import { relpServer, type ServerFrame } from '../support/relp-server.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure } = runs();

const generated = (simulator: Awaited<ReturnType<typeof startSimulator>>) =>
  (simulator.generated?.page(0n, 1_000_000) ?? []).map(idOf);
const inOrder = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);

describe('a reload while a destination takes longer than the shutdown timeout', () => {
  it.each([
    ['without acknowledgement', 'good', false],
    ['with acknowledgement', 'ack', true],
  ] as const)('lets a HEC request that is on the wire finish and doubles nothing, %s', async (_, tokenState, ack) => {
    await using simulator = await startSimulator({ events: 50, rate: 40, key });
    await using hec = await startHecServer({ latencyMs: 3_000, tokenState });
    const sink = `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", acknowledgement: ${ack}, index: old }`;
    const { file } = configure(simulator.url, { sinks: [sink] });
    appendFileSync(file, 'shutdownTimeout: 1s\n');
    const program = startProgram(['run', '-c', file]);
    const dataRequests = () => hec.requests.filter(({ kind }) => kind === 'data');
    await hec.until(() => dataRequests().some(({ status }) => status === 200));
    const before = dataRequests().length;
    await hec.until(() => dataRequests().length > before);
    writeFileSync(file, read(file).replace('index: old', 'index: new'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('restarted: splunk'));
    await hec.until(() => hec.events.some(({ index }) => index === 'new'));
    const last = simulator.lastId();
    await hec.until(() => hec.events.some(({ raw }) => BigInt(idOf(String(raw))) >= last));
    await change(program, file, read(file).replace('shutdownTimeout: 1s', 'shutdownTimeout: 30s'));
    await stop(program);
    const ids = inOrder(hec.events.map(({ raw }) => idOf(String(raw))));
    expect(ids).toEqual(generated(simulator).slice(0, ids.length));
  });

  it('saves what the old destination confirms after a SIGTERM that follows at once', async () => {
    await using simulator = await startSimulator({ events: 50, rate: 40, key });
    await using hec = await startHecServer({ latencyMs: 2_000 });
    const sink = `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", acknowledgement: false, index: old }`;
    const { file } = configure(simulator.url, { sinks: [sink] });
    appendFileSync(file, 'shutdownTimeout: 12s\n');
    for (const index of ['one', 'two', 'three']) {
      const program = startProgram(['run', '-c', file]);
      const before = hec.requests.length;
      await hec.until(() => hec.requests.slice(before).some(({ status }) => status === 200));
      const then = hec.requests.length;
      await hec.until(() => hec.requests.length > then);
      writeFileSync(file, read(file).replace(/index: \w+/, `index: ${index}`));
      program.child.kill('SIGHUP');
      await program.until((stderr) => stderr.includes('restarted: splunk'));
      await stop(program);
    }
    const ids = inOrder(hec.events.map(({ raw }) => idOf(String(raw))));
    expect(ids).toEqual(generated(simulator).slice(0, ids.length));
  });

  it('waits with a changed sink until a stalled reader of standard output has taken what is being written', async () => {
    await using simulator = await startSimulator({ events: 3_000, key });
    const { file } = configure(simulator.url, { sinks: ['{ name: console, type: stdout }'] });
    appendFileSync(file, 'shutdownTimeout: 1s\n');
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout !== '');
    program.child.stdout?.pause();
    // The pipe is full when nothing more is requested.
    let requests = 0;
    const isIdle = () => {
      const before = requests;
      requests = simulator.requestCount;
      return requests === before;
    };
    await eventually(isIdle, { everyMs: 3_000 });
    writeFileSync(file, read(file).replace('type: stdout', 'type: stdout, redact: [user.email]'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('restarted: console'));
    // Longer than three quarters of the shutdown timeout: a second reload is applied meanwhile.
    await change(program, file, `${read(file)}log: { level: debug }\n`);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    program.child.stdout?.resume();
    await program.until((_, stdout) => stdout.split('\n').length > 3_000);
    await stop(program);
    expect(program.stdout().split('\n').slice(0, -1).map(idOf)).toEqual(generated(simulator));
  });

  it('lets RELP messages that are on the wire be answered beside the new pipeline, and doubles nothing', async () => {
    await using simulator = await startSimulator({ events: 30, rate: 20, key });
    const held: (() => void)[] = [];
    let isHolding = true;
    await using old = await relpServer((_, { answer }) => {
      if (isHolding) held.push(() => answer());
      else answer();
    });
    await using next = await relpServer();
    const sink = (port: number) => `{ name: siem, type: syslog, address: "relp://127.0.0.1:${port}", timeout: 60s }`;
    const { file } = configure(simulator.url, { sinks: [sink(old.port)] });
    appendFileSync(file, 'shutdownTimeout: 1s\n');
    const program = startProgram(['run', '-c', file]);
    await eventually(() => held.length >= 30);
    writeFileSync(file, read(file).replace(String(old.port), String(next.port)));
    program.child.kill('SIGHUP');
    // New events arrive at the new collector while the old one has not answered.
    await eventually(() => next.messages().length > 40);
    isHolding = false;
    for (const answer of held) answer();
    const then = next.messages().length;
    await eventually(() => next.messages().length > then + 40);
    await stop(program);
    const ids = inOrder([...messageIds(old.frames), ...messageIds(next.frames)]);
    expect(ids).toEqual(generated(simulator).slice(0, ids.length));
  });

  it('sends what the old destination never answers to the new one', async () => {
    await using simulator = await startSimulator({ events: 30, rate: 20, key });
    await using old = await relpServer(() => {});
    await using next = await relpServer();
    const sink = (port: number) => `{ name: siem, type: syslog, address: "relp://127.0.0.1:${port}", timeout: 5s }`;
    const { file } = configure(simulator.url, { sinks: [sink(old.port)] });
    const program = startProgram(['run', '-c', file]);
    await eventually(() => messageIds(old.frames).length >= 30);
    writeFileSync(file, read(file).replace(String(old.port), String(next.port)));
    program.child.kill('SIGHUP');
    await eventually(() => messageIds(next.frames).includes(1));
    const last = generated(simulator).length;
    await eventually(() => messageIds(next.frames).length >= last);
    await stop(program);
    const ids = inOrder(messageIds(next.frames));
    expect(ids).toEqual(generated(simulator).slice(0, ids.length));
  });
});

const messageIds = (frames: readonly ServerFrame[]): number[] =>
  frames.filter(({ command }) => command === 'syslog').map(({ data }) => idOf(data.slice(data.indexOf('{'))));
