import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { read, stop } from '../support/reload.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure } = runs();

it('a token that is changed at a reload doubles nothing that waits for its acknowledgement', async () => {
  let isAcknowledging = false;
  await using simulator = await startSimulator({ events: 50, key });
  await using hec = await startHecServer({
    token: 'the-old-token',
    tokenState: 'ack',
    fault: ({ kind }) => (kind === 'ack' && !isAcknowledging ? { status: 200, body: { acks: {} } } : undefined),
  });
  const sink = `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: ${hec.token}, acknowledgement: true }`;
  const { file } = configure(simulator.url, { sinks: [sink] });
  writeFileSync(file, `${read(file)}shutdownTimeout: 1s\n`);
  const program = startProgram(['run', '-c', file]);
  await eventually(() => hec.count >= 50);
  hec.renew('the-new-token');
  writeFileSync(file, read(file).replace('the-old-token', 'the-new-token'));
  program.child.kill('SIGHUP');
  await program.until((stderr) => stderr.includes('restarted: splunk'));
  await hec.until(() => hec.requests.some(({ headers }) => headers.authorization === 'Splunk the-new-token'));
  isAcknowledging = true;
  await hec.until(() => hec.requests.some(({ confirmed }) => confirmed === true));
  await stop(program);
  const ids = hec.events.map(({ raw }) => idOf(String(raw)));
  expect(ids).toEqual((simulator.generated?.page(0n, 1_000) ?? []).map(idOf).slice(0, ids.length));
  const data = hec.requests.filter(({ kind }) => kind === 'data');
  expect(data.map(({ confirmed }) => confirmed)).toEqual(data.map(() => true));
});
