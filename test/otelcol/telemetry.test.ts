import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';
import { collectorMissing, collectorProcess, freePort, linesOf } from './collector.ts';

const because = collectorMissing === undefined ? '' : ` (skipped: ${collectorMissing})`;
const { directory } = scratch();
const key = 'SIEM-LOG-ONLY-demo';
let runs = 0;

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

interface Line {
  readonly resourceMetrics?: readonly {
    readonly resource: unknown;
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
  readonly resourceSpans?: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

/** An OpenTelemetry Collector that takes OTLP over HTTP and writes what it got into a file. */
async function otlpCollector() {
  const port = await freePort();
  const collector = collectorProcess((out) => ({
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { file: { path: out, append: true, flush_interval: '100ms' } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        metrics: { receivers: ['otlp'], exporters: ['file'] },
        traces: { receivers: ['otlp'], exporters: ['file'] },
      },
    },
  }));
  onTestFinished(collector.dispose);
  await collector.start();
  const received = () =>
    (existsSync(collector.out) ? linesOf(collector.out) : []).map((line) => JSON.parse(line) as Line);
  const spans = () =>
    received().flatMap(({ resourceSpans = [] }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  return { ...collector, url: `http://127.0.0.1:${port}`, received, spans };
}

function configure(url: string, telemetry: string): string {
  const file = join(directory, `config-${++runs}.yaml`);
  const text = `source: { url: "${url}", apiKey: ${key}, schedule: "* * * * * *" }
state: { directory: "${join(directory, `state-${runs}`)}" }
sinks: [{ type: stdout }]
telemetry: ${telemetry}
`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe.skipIf(collectorMissing !== undefined)(`telemetry before an OpenTelemetry Collector${because}`, () => {
  it('arrives: every metric, and a span a poll with its children', async () => {
    await using simulator = await startSimulator({ events: 20, key });
    const collector = await otlpCollector();
    const file = configure(simulator.url, `{ otlp: { endpoint: "${collector.url}", interval: 1s } }`);
    const daemon = startProgram(['run', '-c', file], {
      env: { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test' },
    });
    await daemon.until((_, stdout) => stdout.split('\n').length > 20);
    await expect
      .poll(() => collector.received().some(({ resourceMetrics }) => resourceMetrics), { timeout: 20_000 })
      .toBe(true);
    daemon.child.kill('SIGTERM');
    // What is left is sent before it ends.
    expect(await daemon.ended).toBe(0);
    await collector.stop();

    const metrics = collector.received().flatMap(({ resourceMetrics = [] }) => resourceMetrics);
    const names = metrics.flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name)),
    );
    for (const name of ['events_delivered_total', 'lag_seconds', 'key_accepted', 'delivery_duration_seconds'])
      expect(names).toContain(`forwarder_${name}`);
    const about = JSON.stringify(metrics[0]?.resource);
    for (const part of ['qasphere-siem-forwarder', 'service.version', 'service.instance.id', 'deployment.environment'])
      expect(about).toContain(part);

    const spans = collector.spans();
    const polls = new Map(spans.filter(({ name }) => name === 'poll').map((span) => [span.spanId, span]));
    for (const name of ['page', 'encode', 'deliver', 'checkpoint']) {
      const children = spans.filter((span) => span.name === name && polls.has(span.parentSpanId ?? ''));
      expect(children, name).not.toEqual([]);
      for (const child of children) expect(child.traceId).toBe(polls.get(child.parentSpanId ?? '')?.traceId);
    }
    expect(JSON.stringify(collector.received())).not.toContain(key);
  });

  it('holds nothing up while the collector is away, says so once, and that it is back', async () => {
    await using simulator = await startSimulator({ events: 20, key });
    const collector = await otlpCollector();
    await collector.stop();
    const file = configure(simulator.url, `{ otlp: { endpoint: "${collector.url}", interval: 1s, traces: false } }`);
    const env = { OTEL_EXPORTER_OTLP_TIMEOUT: '500' };
    const daemon = startProgram(['run', '-c', file], { env });
    await daemon.until(
      (stderr, stdout) => stderr.includes('telemetry.export_failed') && stdout.split('\n').length > 20,
    );
    await collector.start();
    await daemon.until((stderr) => stderr.includes('telemetry.export_recovered'));
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
    expect(daemon.stderr().match(/telemetry\.export_failed/g)).toHaveLength(1);
  });
});
