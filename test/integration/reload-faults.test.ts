import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { readiness } from '../../src/telemetry/readiness.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { change, read, stop } from '../support/reload.ts';
import { key, runs } from '../support/runs.ts';

const { configure, directory } = runs();

describe('SIGHUP:', () => {
  for (const before of ['in another file', 'in the configuration'])
    it(`a key that was ${before} before is read again at a 401 from the file that is configured now`, async () => {
      await using simulator = await startSimulator({ events: 5, key });
      await using hec = await startHecServer();
      const [one, two] = [join(directory, 'key-one'), join(directory, 'key-two')];
      for (const path of [one, two]) writeFileSync(path, key, { mode: 0o600 });
      const given = before === 'in another file' ? `apiKeyFile: "${one}"` : `apiKey: ${key}`;
      const { file } = configure(simulator.url, {
        apiKey: given,
        sinks: [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`],
      });
      const program = startProgram(['run', '-c', file]);
      await hec.until(() => hec.count === 5);
      await change(program, file, read(file).replace(given, `apiKeyFile: "${two}"`));
      writeFileSync(two, 'SIEM-LOG-ONLY-new');
      simulator.setKey('SIEM-LOG-ONLY-new');
      const asked = simulator.requestCount;
      const goesOn = () => simulator.requests.some(({ status }, at) => at >= asked + 1 && status === 200);
      let hasEnded = false;
      void program.ended.then(() => {
        hasEnded = true;
      });
      await eventually(() => hasEnded || goesOn());
      expect(goesOn(), program.stderr()).toBe(true);
      await stop(program);
    });

  it('a new sink whose dead letter can’t be opened leaves the old configuration running', async () => {
    await using simulator = await startSimulator({ events: 20, rate: 20, key });
    await using hec = await startHecServer();
    const sink = (name: string) => `{ name: ${name}, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`;
    const { file, state } = configure(simulator.url, { sinks: [sink('first')] });
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 20);
    mkdirSync(join(state, 'dead-letter', 'second.ndjson'));
    writeFileSync(file, `${read(file)}  - ${sink('second')}\n`);
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('the old configuration stays'));
    const then = hec.count;
    await hec.until(() => hec.count > then);
    await stop(program);
  });

  it('a new key is used from the next request on, however long telemetry takes', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    await using simulator = await startSimulator({ events: 20, rate: 20, key: 'SIEM-LOG-ONLY-old' });
    await using hec = await startHecServer();
    const { file } = configure(simulator.url, {
      apiKey: 'apiKey: SIEM-LOG-ONLY-old',
      sinks: [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`],
    });
    const otlp = `telemetry: { otlp: { endpoint: "http://127.0.0.1:${port}", interval: 1s, metrics: true, traces: true } }\n`;
    writeFileSync(file, read(file) + otlp);
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 60);
    writeFileSync(file, read(file).replace('SIEM-LOG-ONLY-old', 'SIEM-LOG-ONLY-new').replace('1s', '2s'));
    program.child.kill('SIGHUP');
    simulator.setKey('SIEM-LOG-ONLY-new');
    const then = hec.count;
    const outcome = await Promise.race([program.ended, hec.until(() => hec.count > then + 40).then(() => 'goes on')]);
    silent.close();
    expect(outcome, program.stderr()).toBe('goes on');
    await stop(program);
  });

  it('a removed sink disappears from the metrics, another keeps its status, and the log level changes', async () => {
    await using simulator = await startSimulator({ events: 20, rate: 20, key });
    await using hec = await startHecServer();
    const sink = (name: string) => `{ name: ${name}, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`;
    const { file } = configure(simulator.url, { sinks: [sink('stays'), sink('goes')] });
    writeFileSync(file, `${read(file)}telemetry: { listen: "127.0.0.1:0" }\n`);
    const program = startProgram(['run', '-c', file]);
    const addresses = () => [...program.stderr().matchAll(/"address":"([^"]+)"/g)].map(([, address]) => address);
    const metrics = async () => (await fetch(`http://${addresses().at(-1)}/metrics`)).text();
    await hec.until(() => hec.count > 45);
    expect(await metrics()).toContain('forwarder_cursor{sink="goes"}');
    expect(program.stderr()).not.toContain('"level":"debug"');
    await change(
      program,
      file,
      read(file)
        .replace(`  - ${sink('goes')}\n`, '')
        .concat('log: { level: debug }\n'),
    );
    await program.until((stderr) => stderr.includes('"level":"debug"') && addresses().length === 2);
    const then = hec.count;
    await hec.until(() => hec.count > then);
    const text = await metrics();
    expect(text).toContain('forwarder_cursor{sink="stays"}');
    expect(text).not.toContain('forwarder_cursor{sink="goes"}');
    await stop(program);
  });

  it('an unreadable page stays reported if the source does not change', () => {
    const health = new Health(() => ({ epochMs: 0, monotonicMs: 0 }));
    const start = { event: 'daemon.start', version: '1', sinks: ['a'], pollEveryMs: 1_000 } as const;
    health.handle({ ...start, reload: false, restarted: ['a'] });
    health.handle({ event: 'source.page', after: 0n, events: 2, newEvents: 2, bytes: 1 });
    health.handle({ event: 'source.unreadable', after: 2n, detail: 'no id' });
    health.handle({ ...start, reload: true, restarted: [] });
    expect(readiness(health).reasons.map(({ code }) => code)).toContain('source_unreadable');
  });
});
