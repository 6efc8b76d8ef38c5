import type { Meter } from '@opentelemetry/api';
import type { Health, SealHealth, SinkHealth } from './health.ts';
import {
  type CounterName,
  type HistogramName,
  type MetricName,
  type MetricRecorder,
  metricTable,
} from './metric-table.ts';
import { readiness } from './readiness.ts';
import { type Emit, entryOf } from './telemetry-event.ts';

/**
 * Counters and histograms move with each event as its catalog entry says; gauges read `health` at each collection.
 * @param droppedLogLines how many log lines were dropped since the start
 */
export function createMetrics(meter: Meter, health: Health, droppedLogLines: () => number): Emit {
  const names = Object.keys(metricTable) as MetricName[];
  const create = <K extends 'counter' | 'histogram', I>(kind: K, make: (name: MetricName) => I) =>
    new Map(names.filter((name) => metricTable[name].kind === kind).map((name) => [name, make(name)]));
  const counters = create('counter', (name) => meter.createCounter(name, metricTable[name]));
  const histograms = create('histogram', (name) => meter.createHistogram(name, metricTable[name]));
  const recorder: MetricRecorder = {
    add: (name: CounterName, value, labels) => counters.get(name)?.add(value, labels),
    record: (name: HistogramName, value, labels) => histograms.get(name)?.record(value, labels),
  };
  observeHealth(meter, health);
  const dropped = 'forwarder_log_lines_dropped_total';
  meter
    .createObservableCounter(dropped, metricTable[dropped])
    .addCallback((result) => result.observe(droppedLogLines()));
  return (event) => entryOf(event).metrics?.(event, recorder);
}

function observeHealth(meter: Meter, health: Health): void {
  const gauge = (name: MetricName, read: () => number | undefined) =>
    meter.createObservableGauge(name, metricTable[name]).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  const perSink = (name: MetricName, read: (sink: SinkHealth) => number | undefined) =>
    meter.createObservableGauge(name, metricTable[name]).addCallback((result) => {
      for (const [sink, state] of health.sinks) {
        const value = read(state);
        if (value !== undefined) result.observe(value, { sink });
      }
    });
  const perSeal = (name: MetricName, read: (seal: SealHealth) => number) =>
    meter.createObservableGauge(name, metricTable[name]).addCallback((result) => {
      for (const [sink, { seal }] of health.sinks)
        if (seal !== undefined) result.observe(read(seal), { tenant: seal.tenant, sink });
    });
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
  const { source } = health;
  perSink('forwarder_cursor', ({ cursor }) => (cursor === undefined ? undefined : Number(cursor)));
  perSink('forwarder_lag_seconds', (sink) => health.lagMs(sink) / 1000);
  perSink('forwarder_last_success_timestamp_seconds', ({ lastSuccess }) => seconds(lastSuccess?.epochMs));
  perSink('forwarder_sink_failing_seconds', ({ outage }) =>
    outage === undefined ? 0 : (health.now().monotonicMs - outage.since.monotonicMs) / 1000,
  );
  perSeal('forwarder_seal_timestamp_seconds', ({ atMs }) => atMs / 1000);
  perSeal('forwarder_seal_interval_seconds', ({ everyMs }) => everyMs / 1000);
  perSeal('forwarder_seal_sequence', ({ seq }) => seq);
  gauge('forwarder_key_accepted', () => (source.key === 'unknown' ? undefined : source.key === 'accepted' ? 1 : 0));
  gauge('forwarder_last_poll_timestamp_seconds', () => seconds(source.lastPoll?.epochMs));
  gauge('forwarder_ready', () => (readiness(health).ready ? 1 : 0));
  const expiry = 'forwarder_certificate_expiry_timestamp_seconds';
  meter.createObservableGauge(expiry, metricTable[expiry]).addCallback((result) => {
    for (const { peer, whose, endsAtMs } of health.certificates) result.observe(endsAtMs / 1000, { peer, whose });
  });
  gauge('forwarder_clock_difference_seconds', () => seconds(source.serverAheadMs));
}
