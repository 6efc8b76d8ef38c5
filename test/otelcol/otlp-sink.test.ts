import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { logsFromJson } from '../support/otlp-logs.ts';
import { startProgram } from '../support/program.ts';
import { idOf } from '../support/runs.ts';
import { scratch } from '../support/scratch.ts';
import { collectorMissing, collectorProcess, freePort, linesOf } from './collector.ts';

const because = collectorMissing === undefined ? '' : ` (skipped: ${collectorMissing})`;
const { directory } = scratch();
const key = 'SIEM-LOG-ONLY-demo';
let runs = 0;

/** A collector that writes the logs which it receives over OTLP/HTTP into a file. */
async function logCollector() {
  const port = await freePort();
  const collector = collectorProcess((out) => ({
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { file: { path: out, append: true, flush_interval: '100ms' } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { logs: { receivers: ['otlp'], exporters: ['file'] } },
    },
  }));
  onTestFinished(collector.dispose);
  await collector.start();
  const logs = () => (existsSync(collector.out) ? linesOf(collector.out) : []).flatMap(logsFromJson);
  return { ...collector, url: `http://127.0.0.1:${port}`, logs };
}

function configure(source: string, sink: string): string {
  const file = join(directory, `config-${++runs}.yaml`);
  const text = `source: { url: "${source}", apiKey: ${key}, schedule: "* * * * * *" }
state: { directory: "${join(directory, `state-${runs}`)}" }
sinks: [{ type: otlp, ${sink} }]
`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe.skipIf(collectorMissing !== undefined)(`the otlp sink and an OpenTelemetry Collector${because}`, () => {
  it.each(['protobuf', 'json'])('delivers every event in %s as it is, with its attributes', async (encoding) => {
    await using simulator = await startSimulator({ events: 2_500, key });
    const collector = await logCollector();
    const file = configure(simulator.url, `url: "${collector.url}", encoding: ${encoding}`);
    const check = startProgram(['check', '-c', file]);
    expect(await check.ended, check.stdout()).toBe(0);
    const program = startProgram(['once', '-c', file]);
    expect(await program.ended, program.stderr()).toBe(0);
    await collector.stop();
    const events = simulator.generated?.page(0n, 1_000_000) ?? [];
    const logs = collector.logs();
    expect(logs.map(({ body }) => body)).toEqual(events.map(String));
    for (const { body, attributes, resource, timeUnixNano } of logs) {
      const { id, action, createdAt, ip } = JSON.parse(body);
      expect(attributes).toMatchObject({ 'event.id': String(id), 'event.name': action });
      expect(attributes['client.address']).toBe(ip ?? undefined);
      expect(timeUnixNano).toBe(BigInt(Date.parse(createdAt)) * 1_000_000n);
      expect(resource).toMatchObject({ 'service.name': 'qasphere', 'qasphere.tenant': '127.0.0.1' });
    }
  });

  it('loses nothing while the collector is restarted, and SIGKILL ends the program', async () => {
    await using simulator = await startSimulator({ events: 500, rate: 200, key });
    const collector = await logCollector();
    const file = configure(simulator.url, `url: "${collector.url}", batch: { maxEvents: 100 }`);
    const first = startProgram(['run', '-c', file]);
    await expect.poll(() => collector.logs().length, { timeout: 30_000 }).toBeGreaterThan(300);
    await collector.stop();
    await first.until((stderr) => stderr.includes('pipeline.retry'));
    await collector.start();
    const before = collector.logs().length;
    await expect.poll(() => collector.logs().length, { timeout: 60_000 }).toBeGreaterThan(before);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = startProgram(['once', '-c', file]);
    expect(await second.ended, second.stderr()).toBe(0);
    await collector.stop();
    const ids = collector.logs().map(({ body }) => Number(idOf(body)));
    const newest = Math.max(...ids);
    const expected = (simulator.generated?.page(0n, 1_000_000) ?? [])
      .map((event) => Number(idOf(String(event))))
      .filter((id) => id <= newest);
    expect([...new Set(ids)].toSorted((a, b) => a - b)).toEqual(expected);
    expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(200);
  });
});
