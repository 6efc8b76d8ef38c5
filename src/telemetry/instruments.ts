import type { Attributes, Meter, MetricOptions } from '@opentelemetry/api';
import { reasons } from '../lib/verdict.ts';
import type { Health, SinkHealth } from './health.ts';
import { readiness } from './readiness.ts';
import type { Emit, TelemetryEvent } from './telemetry-event.ts';

type Row = MetricOptions & { readonly kind: 'counter' | 'histogram' | 'gauge' };

/**
 * Every metric of our own; names, labels and units are public (contract section 5). Labels are closed sets (sink, status,
 * reason) but for field and action: names that the API sent, of each kind some fifty at most.
 */
export const instruments = {
  forwarder_events_fetched_total: row('counter', '{event}', 'Events read from the API for the first time.'),
  forwarder_events_delivered_total: row('counter', '{event}', 'Events a sink has confirmed, by sink.'),
  forwarder_events_filtered_total: row('counter', '{event}', 'Events a sink’s filter left out, by sink.'),
  forwarder_events_dead_lettered_total: row('counter', '{event}', 'Events set aside in the dead letter, by sink.'),
  forwarder_delivery_failures_total: row('counter', '{failure}', 'Deliveries that failed, by sink and reason.'),
  forwarder_delivery_duration_seconds: row(
    'histogram',
    's',
    'From a batch’s offer to its confirmation, by sink.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  ),
  forwarder_source_requests_total: row('counter', '{request}', 'Requests to the API, by HTTP status or failure.'),
  forwarder_schema_drift_total: row('counter', '{event}', 'Events not as the API documents them, by field.'),
  forwarder_unknown_actions_total: row(
    'counter',
    '{event}',
    'Events whose action no row of the table of actions names, by action.',
  ),
  forwarder_late_events_total: row('counter', '{event}', 'Events that appeared behind the cursor, by sink.'),
  forwarder_event_visibility_seconds: row(
    'histogram',
    's',
    'From an event’s createdAt to the first poll that showed it.',
    [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300],
  ),
  forwarder_cursor: row('gauge', '', 'Id below which everything is done, by sink.'),
  forwarder_lag_seconds: row('gauge', 's', 'Age of the oldest event not confirmed, or of the last good poll, by sink.'),
  forwarder_last_success_timestamp_seconds: row('gauge', 's', 'When a sink last confirmed anything, by sink.'),
  forwarder_key_accepted: row('gauge', '', '1 where the API accepts the key, 0 where it refuses it.'),
  forwarder_last_poll_timestamp_seconds: row('gauge', 's', 'When a page was last read.'),
  forwarder_sink_failing_seconds: row(
    'gauge',
    's',
    'How long a sink has been failing or parked, by sink; 0: it works.',
  ),
  forwarder_ready: row('gauge', '', '1 where /readyz says 200.'),
  forwarder_certificate_expiry_timestamp_seconds: row('gauge', 's', 'When a TLS certificate ends, by peer.'),
  forwarder_clock_difference_seconds: row('gauge', 's', 'The server’s clock less this machine’s.'),
} as const satisfies Record<string, Row>;

export type InstrumentName = keyof typeof instruments;

/** What the metrics are moved by; observable ones are asked of `health` whenever they are collected. */
export function createInstruments(meter: Meter, health: Health): Emit {
  const labels = new Map<string, Attributes>();
  const of = (sink: string): Attributes => {
    const known = labels.get(sink) ?? { sink };
    labels.set(sink, known);
    return known;
  };
  const counter = (name: InstrumentName) => meter.createCounter(name, instruments[name]);
  const histogram = (name: InstrumentName) => meter.createHistogram(name, instruments[name]);
  const fetched = counter('forwarder_events_fetched_total');
  const delivered = counter('forwarder_events_delivered_total');
  const filtered = counter('forwarder_events_filtered_total');
  const setAside = counter('forwarder_events_dead_lettered_total');
  const failures = counter('forwarder_delivery_failures_total');
  const requests = counter('forwarder_source_requests_total');
  const drift = counter('forwarder_schema_drift_total');
  const unknownActions = counter('forwarder_unknown_actions_total');
  const late = counter('forwarder_late_events_total');
  const duration = histogram('forwarder_delivery_duration_seconds');
  const visibility = histogram('forwarder_event_visibility_seconds');
  observeHealth(meter, health, of);

  return (h: TelemetryEvent) => {
    switch (h.event) {
      case 'daemon.start':
        // A counter that begins with its first event hides that event from `increase`.
        for (const sink of h.sinks) {
          for (const each of [delivered, filtered, setAside, late]) each.add(0, of(sink));
          for (const reason of reasons) failures.add(0, { sink, reason });
        }
        break;
      case 'source.page':
        fetched.add(h.fresh);
        break;
      case 'source.response':
        requests.add(1, { status: String(h.status) });
        break;
      case 'source.visible':
        for (const ms of h.delaysMs) visibility.record(ms / 1000);
        break;
      case 'source.drift':
        for (const [field, events] of Object.entries(h.fields)) drift.add(events, { field });
        break;
      case 'source.unknown_actions':
        for (const [action, events] of Object.entries(h.actions)) unknownActions.add(events, { action });
        break;
      case 'pipeline.delivered':
        delivered.add(h.records, of(h.sink));
        duration.record(h.elapsedMs / 1000, of(h.sink));
        break;
      case 'pipeline.filtered':
        filtered.add(h.events, of(h.sink));
        break;
      case 'pipeline.late':
        late.add(h.events, of(h.sink));
        break;
      case 'pipeline.set_aside':
        setAside.add(1, of(h.sink));
        break;
      case 'pipeline.retry':
      case 'pipeline.parked':
        failures.add(1, { sink: h.sink, reason: h.reason });
        break;
      // These move nothing, or what `health` is asked for.
      case 'source.request':
      case 'source.retry':
      case 'source.recovered':
      case 'source.refused':
      case 'source.accepted':
      case 'source.stopped':
      case 'source.key_scope':
      case 'source.unreadable':
      case 'source.cursor_mismatch':
      case 'source.count':
      case 'pipeline.start':
      case 'pipeline.history_check':
      case 'pipeline.polling':
      case 'pipeline.poll':
      case 'pipeline.encoded':
      case 'pipeline.waiting':
      case 'pipeline.recovered':
      case 'pipeline.unparked':
      case 'pipeline.failed':
      case 'pipeline.breaker':
      case 'pipeline.gave_up':
      case 'pipeline.progress':
      case 'pipeline.done':
      case 'checkpoint.saved':
      case 'checkpoint.retry':
      case 'checkpoint.recovered':
      case 'checkpoint.fallback':
      case 'checkpoint.orphan':
      case 'sink.warning':
      case 'sink.untimed':
      case 'sink.info':
      case 'tls.certificate':
      case 'telemetry.listening':
      case 'telemetry.failed':
      case 'telemetry.export_failed':
      case 'telemetry.export_recovered':
      case 'daemon.warning':
      case 'daemon.stopping':
      case 'daemon.stopped':
        break;
      default:
        h satisfies never;
    }
  };
}

function observeHealth(meter: Meter, health: Health, of: (sink: string) => Attributes): void {
  const gauge = (name: InstrumentName, read: () => number | undefined) =>
    meter.createObservableGauge(name, instruments[name]).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  const perSink = (name: InstrumentName, read: (sink: SinkHealth) => number | undefined) =>
    meter.createObservableGauge(name, instruments[name]).addCallback((result) => {
      for (const [sink, state] of health.sinks) {
        const value = read(state);
        if (value !== undefined) result.observe(value, of(sink));
      }
    });
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
  const { source } = health;
  perSink('forwarder_cursor', ({ cursor }) => (cursor === undefined ? undefined : Number(cursor)));
  perSink('forwarder_lag_seconds', (sink) => health.lagMs(sink) / 1000);
  perSink('forwarder_last_success_timestamp_seconds', ({ lastSuccess }) => seconds(lastSuccess?.epochMs));
  perSink('forwarder_sink_failing_seconds', ({ trouble }) =>
    trouble === undefined ? 0 : (health.now().monotonicMs - trouble.since.monotonicMs) / 1000,
  );
  gauge('forwarder_key_accepted', () => (source.key === 'unknown' ? undefined : source.key === 'accepted' ? 1 : 0));
  gauge('forwarder_last_poll_timestamp_seconds', () => seconds(source.lastPoll?.epochMs));
  gauge('forwarder_ready', () => (readiness(health).ready ? 1 : 0));
  meter
    .createObservableGauge(
      'forwarder_certificate_expiry_timestamp_seconds',
      instruments.forwarder_certificate_expiry_timestamp_seconds,
    )
    .addCallback((result) => {
      for (const { peer, whose, endsAtMs } of health.certificates) result.observe(endsAtMs / 1000, { peer, whose });
    });
  gauge('forwarder_clock_difference_seconds', () => seconds(source.serverAheadMs));
}

function row(kind: Row['kind'], unit: string, description: string, explicitBucketBoundaries?: number[]): Row {
  return { kind, unit, description, ...(explicitBucketBoundaries && { advice: { explicitBucketBoundaries } }) };
}
