import { appendFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { startProgram } from '../support/program.ts';
import { key, runs } from '../support/runs.ts';

const { configure } = runs();

describe('once, stopped by a signal', () => {
  it('warns which sinks have something unconfirmed, and ends with 0', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    await using hec = await startHecServer({ fault: () => 'hang-before' });
    const { file } = configure(simulator.url, {
      sinks: [
        '{ name: console, type: stdout }',
        `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", acknowledgement: false }`,
      ],
    });
    appendFileSync(file, 'shutdownTimeout: 1s\n');
    const program = startProgram(['once', '-c', file]);
    await hec.until(() => hec.requests.length > 0);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    const [last] = program
      .stderr()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event === 'daemon.stopped');
    expect(last).toMatchObject({ level: 'warn', pending: ['splunk'] });
  });
});
