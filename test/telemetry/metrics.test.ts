import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { metricTable } from '../../src/telemetry/metric-table.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { observeProcess } from '../../src/telemetry/process-metrics.ts';
import { type Sdk, startSdk } from '../../src/telemetry/sdk.ts';
import type { Emit, TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { HandClock } from '../support/hand-clock.ts';
import { startOf } from '../support/telemetry-events.ts';

const promtool = '/usr/bin/promtool';
const canCheck = existsSync(promtool);

let sdk: Sdk;
let clock: HandClock;
let emit: Emit;
let droppedLogLines = 0;
beforeEach(async () => {
  sdk = await startSdk({ version: '1', instance: 'test', prometheus: true, otlp: undefined, emit: () => {} });
  droppedLogLines = 0;
  clock = new HandClock();
  const health = new Health(clock.read);
  const metrics = createMetrics(sdk.meter, health, () => droppedLogLines);
  observeProcess(sdk.meter);
  emit = (event) => {
    health.handle(event);
    metrics(event);
  };
  emitAll(startOf('splunk', 'stdout'));
});
afterEach(async () => {
  await sdk.shutdown(1_000);
});

const emitAll = (...events: TelemetryEvent[]) => {
  for (const event of events) emit(event);
};
/** Value of a series as Prometheus reads it; undefined if it does not exist. */
const value = async (series: string) => {
  const line = (await sdk.prometheus()).split('\n').find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
};

const page = { event: 'source.page', after: 1n, events: 5, newEvents: 3, bytes: 400, serverAheadMs: 0 } as const;

describe('the metrics', () => {
  it('have the public names', () => {
    expect(Object.keys(metricTable)).toEqual(
      expect.arrayContaining([
        'forwarder_events_fetched_total',
        'forwarder_events_delivered_total',
        'forwarder_events_filtered_total',
        'forwarder_events_dead_lettered_total',
        'forwarder_delivery_failures_total',
        'forwarder_delivery_duration_seconds',
        'forwarder_source_requests_total',
        'forwarder_late_events_total',
        'forwarder_missed_events_total',
        'forwarder_event_visibility_seconds',
        'forwarder_cursor',
        'forwarder_lag_seconds',
        'forwarder_last_success_timestamp_seconds',
        'forwarder_key_accepted',
      ]),
    );
  });

  it('are all documented, each with its type, and no other', () => {
    const rows = readFileSync('docs/telemetry.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `forwarder_'));
    const documented = rows.map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', ''))
        .slice(1, 3),
    );
    expect(documented).toEqual(Object.entries(metricTable).map(([name, { kind }]) => [name, kind.split(' ').at(-1)]));
  });

  it('count events read, delivered, filtered, late and dead-lettered, by sink', async () => {
    emitAll(page, page, { event: 'pipeline.filtered', sink: 'splunk', events: 4 });
    emitAll({ event: 'pipeline.delivered', sink: 'splunk', records: 2, last: 9n, elapsedMs: 300 });
    emitAll({ event: 'pipeline.late', sink: 'stdout', events: 6, first: 3n });
    emitAll({ event: 'pipeline.set_aside', sink: 'stdout', id: 4n, reason: 'malformed', detail: 'x' });
    expect(await value('forwarder_events_fetched_total')).toBe(6);
    expect(await value('forwarder_events_delivered_total{sink="splunk"}')).toBe(2);
    expect(await value('forwarder_events_filtered_total{sink="splunk"}')).toBe(4);
    expect(await value('forwarder_late_events_total{sink="stdout"}')).toBe(6);
    expect(await value('forwarder_events_dead_lettered_total{sink="stdout"}')).toBe(1);
    expect(await value('forwarder_delivery_duration_seconds_bucket{sink="splunk",le="0.5"}')).toBe(1);
    expect(await value('forwarder_delivery_duration_seconds_bucket{sink="splunk",le="0.25"}')).toBe(0);
  });

  it('count drift by field and unknown actions by name', async () => {
    emitAll({
      event: 'source.drift',
      fields: { 'unknown:x': 2, 'missing:ip': 1 },
      firstSeen: ['unknown:x', 'missing:ip'],
    });
    emitAll({ event: 'source.drift', fields: { 'unknown:x': 3 }, firstSeen: [] });
    emitAll({ event: 'source.unknown_actions', actions: { 'gizmo.x': 4 }, firstSeen: ['gizmo.x'] });
    expect(await value('forwarder_schema_drift_total{field="unknown:x"}')).toBe(5);
    expect(await value('forwarder_schema_drift_total{field="missing:ip"}')).toBe(1);
    expect(await value('forwarder_unknown_actions_total{action="gizmo.x"}')).toBe(4);
  });

  it('start at zero for every sink, so that the first event counts as an increase', async () => {
    expect(await value('forwarder_events_delivered_total{sink="stdout"}')).toBe(0);
    expect(await value('forwarder_events_dead_lettered_total{sink="stdout"}')).toBe(0);
    expect(await value('forwarder_delivery_failures_total{sink="stdout",reason="network"}')).toBe(0);
  });

  it('count failures by reason and requests by status', async () => {
    emitAll({ event: 'pipeline.retry', sink: 'splunk', reason: 'server', detail: 'x', attempt: 1, waitMs: 1 });
    emitAll({ event: 'pipeline.parked', sink: 'splunk', reason: 'auth', detail: 'x' });
    emitAll({ event: 'source.response', after: 1n, status: 200, elapsedMs: 1 });
    emitAll({ event: 'source.response', after: 1n, status: 'timeout', elapsedMs: 1 });
    expect(await value('forwarder_delivery_failures_total{sink="splunk",reason="server"}')).toBe(1);
    expect(await value('forwarder_delivery_failures_total{sink="splunk",reason="auth"}')).toBe(1);
    expect(await value('forwarder_source_requests_total{status="200"}')).toBe(1);
    expect(await value('forwarder_source_requests_total{status="timeout"}')).toBe(1);
  });

  it('show the state at the moment of collection', async () => {
    expect(await value('forwarder_key_accepted')).toBeUndefined();
    expect(await value('forwarder_ready')).toBe(0);
    emitAll(page, { event: 'source.visible', delaysMs: [1_500, 70_000] });
    emitAll({ event: 'checkpoint.saved', sink: 'splunk', after: 41n, elapsedMs: 1 });
    emitAll({ event: 'pipeline.delivered', sink: 'splunk', records: 2, last: 42n, elapsedMs: 1 });
    emitAll({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: clock.epochMs });
    clock.pass(7_000);
    expect(await value('forwarder_key_accepted')).toBe(1);
    expect(await value('forwarder_ready')).toBe(1);
    expect(await value('forwarder_cursor{sink="splunk"}')).toBe(41);
    expect(await value('forwarder_lag_seconds{sink="splunk"}')).toBe(7);
    expect(await value('forwarder_lag_seconds{sink="stdout"}')).toBe(0);
    expect(await value('forwarder_last_success_timestamp_seconds{sink="splunk"}')).toBe(clock.epochMs / 1000 - 7);
    expect(await value('forwarder_event_visibility_seconds_bucket{le="60"}')).toBe(1);
    emitAll({ event: 'source.refused', status: 403, detail: 'x', causes: [] });
    expect(await value('forwarder_key_accepted')).toBe(0);
    expect(await value('forwarder_ready')).toBe(0);
  });

  it('show when certificates expire', async () => {
    emitAll({ event: 'tls.certificate', peer: 'source', whose: 'server', endsAtMs: 5_000_000 });
    const series = 'forwarder_certificate_expiry_timestamp_seconds{peer="source",whose="server"}';
    expect(await value(series)).toBe(5_000);
  });

  it('count the log lines that were dropped', async () => {
    expect(await value('forwarder_log_lines_dropped_total')).toBe(0);
    droppedLogLines = 12;
    expect(await value('forwarder_log_lines_dropped_total')).toBe(12);
  });

  it('include Node’s process metrics', async () => {
    expect(await value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(await value('process_cpu_seconds_total')).toBeGreaterThan(0);
  });

  it.skipIf(!canCheck)('satisfy promtool (skipped where the package prometheus is absent)', async () => {
    emitAll(page, { event: 'source.visible', delaysMs: [1] });
    emitAll({ event: 'pipeline.delivered', sink: 'splunk', records: 2, last: 42n, elapsedMs: 1 });
    const { stdout, stderr, status } = spawnSync(promtool, ['check', 'metrics'], { input: await sdk.prometheus() });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  });
});
