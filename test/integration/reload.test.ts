import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure } = runs();

describe('SIGHUP', () => {
  it('applies a changed configuration without losing or doubling a record', async () => {
    await using simulator = await startSimulator({ events: 2_000, rate: 300, key });
    await using first = await startHecServer();
    await using second = await startHecServer();
    const hec = (name: string, { url, token }: { url: string; token: string }) =>
      `{ name: ${name}, type: splunk-hec, url: "${url}", token: "${token}" }`;
    const { file } = configure(simulator.url, { sinks: [hec('first', first)] });
    const program = startProgram(['run', '-c', file]);
    await first.until(() => first.count > 2_000);
    writeFileSync(file, `${readFileSync(file, 'utf8')}  - ${hec('second', second)}\n`);
    // The second one arrives while the first is still being applied.
    program.child.kill('SIGHUP');
    program.child.kill('SIGHUP');
    await second.until(() => second.count > 2_500);
    program.child.kill('SIGHUP');
    const then = first.count;
    await first.until(() => first.count > then + 300);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    for (const { events } of [first, second]) {
      const ids = events.map(({ raw }) => idOf(String(raw)));
      const expected = (simulator.generated?.page(0n, 100_000) ?? []).map(idOf);
      expect(ids).toEqual(expected.slice(0, ids.length));
    }
  });

  it('keeps the old configuration if the new one is invalid, with a warning', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 50, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, good.replace('stdout', 'stdoot'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('the old configuration stays'));
    const before = program.stdout().length;
    await eventually(() => program.stdout().length > before + 1_000);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  it('warns that another source.url needs a restart', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 50, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    writeFileSync(file, readFileSync(file, 'utf8').replace(simulator.url, 'https://other.eu1.qasphere.com'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('source.url has changed: restart to apply it'));
    const before = program.stdout().length;
    await eventually(() => program.stdout().length > before + 1_000);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  it('keeps the old configuration if the checkpoint of a new sink is damaged', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 50, key });
    await using hec = await startHecServer();
    const { file, state } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    writeFileSync(join(state, 'checkpoints', 'splunk.json'), 'damaged');
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, `${good}  - { name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }\n`);
    program.child.kill('SIGHUP');
    await program.until((stderr) => /the old configuration stays: .*checkpoint of sink splunk is damaged/.test(stderr));
    const before = program.stdout().length;
    await eventually(() => program.stdout().length > before + 1_000);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    const ids = program.stdout().split('\n').slice(0, -1).map(idOf);
    expect(ids).toEqual([...new Set(ids)]);
    expect(hec.count).toBe(0);
  });

  it('delays no sink but one that hangs', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 50, key });
    await using hanging = await startHecServer({ fault: () => 'hang-before' });
    const { file } = configure(simulator.url, {
      sinks: [
        '{ name: console, type: stdout }',
        `{ name: hanging, type: splunk-hec, url: "${hanging.url}", token: "${hanging.token}", timeout: 5m }`,
      ],
    });
    appendFileSync(file, 'shutdownTimeout: 2s\n');
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    await hanging.until(() => hanging.requests.length > 0);
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.split('"daemon.start"').length === 3);
    const before = program.stdout().length;
    await eventually(() => program.stdout().length > before + 1_000);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
  });
});
