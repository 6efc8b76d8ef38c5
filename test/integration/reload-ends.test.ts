import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { type HecServer, startHecServer } from '../support/hec-server.ts';
import { covers, eventually, readCheckpoint, startProgram } from '../support/program.ts';
import { read, stop } from '../support/reload.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure, directory } = runs();

const hecSink = (name: string, { url, token }: HecServer, more = '') =>
  `{ name: ${name}, type: splunk-hec, url: "${url}", token: "${token}"${more} }`;

describe('a reload that is interrupted', () => {
  it('by kill -9 loses nothing and repeats at most what was in flight', async () => {
    await using simulator = await startSimulator({ events: 500, rate: 300, key });
    await using hec = await startHecServer({ tokenState: 'ack', ackAfter: 1 });
    const sink = hecSink('splunk', hec, ', acknowledgement: true, index: index0');
    const { file, state } = configure(simulator.url, { sinks: [sink] });
    const heldIds = () => hec.events.map(({ raw }) => idOf(String(raw)));
    /** Events that had arrived when the process was killed and that its checkpoint lacked, over all kills. */
    let uncertain = 0;
    const start = async () => {
      const program = startProgram(['run', '-c', file]);
      await program.until((stderr) => stderr.includes('"event":"pipeline.start"'));
      return program;
    };
    let checkpoint: ReturnType<typeof readCheckpoint> | undefined;
    const unknown = () => new Set(heldIds().filter((id) => checkpoint && !covers(checkpoint, BigInt(id)))).size;
    for (let turn = 1; turn <= 6; turn++) {
      const program = await start();
      // By now everything that the killed process had on the wire has arrived.
      uncertain += unknown();
      const before = hec.count;
      await hec.until(() => hec.count > before + 100);
      writeFileSync(file, read(file).replace(/index\d/, `index${turn}`));
      program.child.kill('SIGHUP');
      // In turn: before the pipelines change, while the old one waits for acknowledgements, and after the change.
      if (turn % 3 === 1) await program.until((stderr) => stderr.includes('restarted: splunk'));
      if (turn % 3 === 2) await hec.until(() => hec.events.at(-1)?.index === `index${turn}`);
      await eventually(() => existsSync(join(state, 'checkpoints', 'splunk.json')));
      program.child.kill('SIGKILL');
      expect(await program.ended).toBe('SIGKILL');
      checkpoint = readCheckpoint(state, 'splunk');
    }
    const program = await start();
    uncertain += unknown();
    const last = (simulator.generated?.page(0n, 1_000_000) ?? []).map(idOf).at(-1) ?? 0;
    await hec.until(() => hec.events.some(({ raw }) => idOf(String(raw)) >= last));
    await stop(program);
    const ids = heldIds();
    const all = (simulator.generated?.page(0n, 1_000_000) ?? []).map(idOf).filter((id) => id <= last);
    expect(all.filter((id) => !ids.includes(id))).toEqual([]);
    expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(uncertain);
  });

  it('by a refused key ends with 77 although a changed sink hangs', async () => {
    await using simulator = await startSimulator({ events: 20, rate: 50, key });
    await using hanging = await startHecServer({ fault: () => 'hang-before' });
    await using hec = await startHecServer();
    const sinks = [hecSink('hanging', hanging, ', acknowledgement: false, timeout: 5m'), hecSink('splunk', hec)];
    const { file } = configure(simulator.url, { sinks });
    writeFileSync(file, `${read(file)}shutdownTimeout: 3s\n`);
    const program = startProgram(['run', '-c', file]);
    await hanging.until(() => hanging.requests.length > 0);
    await hec.until(() => hec.count > 20);
    writeFileSync(file, read(file).replace('timeout: 5m', 'timeout: 4m'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('restarted: hanging'));
    simulator.setKey('SIEM-LOG-ONLY-other');
    expect(await program.ended, program.stderr()).toBe(77);
  });

  it('by SIGTERM ends with 0, and the next start continues from there', async () => {
    await using simulator = await startSimulator({ events: 300, rate: 200, key });
    await using hec = await startHecServer({ tokenState: 'ack', ackAfter: 2 });
    const { file } = configure(simulator.url, { sinks: [hecSink('splunk', hec, ', acknowledgement: true')] });
    const first = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 300);
    writeFileSync(file, read(file).replace('acknowledgement: true', 'acknowledgement: true, index: b'));
    first.child.kill('SIGHUP');
    await first.until((stderr) => stderr.includes('restarted: splunk'));
    await stop(first);
    const then = hec.count;
    const second = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > then + 100);
    await stop(second);
    const ids = hec.events.map(({ raw }) => idOf(String(raw)));
    expect(ids).toEqual((simulator.generated?.page(0n, 1_000_000) ?? []).map(idOf).slice(0, ids.length));
  });

  it('by a change of state.directory, which needs a restart, keeps the old directory, with a warning', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 50, key });
    await using hec = await startHecServer();
    const { file, state } = configure(simulator.url, { sinks: [hecSink('splunk', hec)] });
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 10);
    writeFileSync(file, read(file).replace(state, join(directory, 'elsewhere')));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('state.directory has changed: restart to apply it'));
    await program.until((stderr) => stderr.includes('unchanged: splunk'));
    const then = hec.count;
    await hec.until(() => hec.count > then + 20);
    await stop(program);
  });
});
