import type { MetricOptions } from '@opentelemetry/api';

type Kind = 'counter' | 'observed counter' | 'histogram' | 'gauge';
type Row<K extends Kind> = MetricOptions & { readonly kind: K };

/**
 * Every metric of the forwarder. Names, labels and units are public (contract section 5). Label values are closed sets
 * (sink, status, reason), except `field` and `action`: names that the API sent, about fifty of each at most.
 */
export const metricTable = {
  forwarder_events_fetched_total: counter('{event}', 'Events read from the API for the first time.'),
  forwarder_events_delivered_total: counter('{event}', 'Events that a sink has confirmed, by sink.'),
  forwarder_events_filtered_total: counter('{event}', 'Events that a sink’s filter excludes, by sink.'),
  forwarder_events_dead_lettered_total: counter('{event}', 'Events written to the dead letter, by sink.'),
  forwarder_delivery_failures_total: counter('{failure}', 'Failed deliveries, by sink and reason.'),
  forwarder_delivery_duration_seconds: histogram(
    's',
    'Time from queueing a batch to its confirmation, by sink.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  ),
  forwarder_source_requests_total: counter('{request}', 'Requests to the API, by HTTP status or failure reason.'),
  forwarder_schema_drift_total: counter('{event}', 'Events that differ from the API’s documentation, by field.'),
  forwarder_unknown_actions_total: counter('{event}', 'Events whose action is not in the table of actions, by action.'),
  forwarder_missed_events_total: counter(
    '{event}',
    'Events that appeared behind the cursor too late to be delivered, by sink.',
  ),
  forwarder_late_events_total: counter('{event}', 'Events that appeared behind the cursor, by sink.'),
  forwarder_event_visibility_seconds: histogram(
    's',
    'Time from an event’s createdAt to the first poll that returned it.',
    [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300],
  ),
  forwarder_cursor: gauge('', 'Every event up to this id is done, by sink.'),
  forwarder_lag_seconds: gauge('s', 'Age of the oldest unconfirmed event, or of the last good poll, by sink.'),
  forwarder_last_success_timestamp_seconds: gauge('s', 'When a sink last confirmed a batch, by sink.'),
  forwarder_key_accepted: gauge('', '1 if the API accepts the key, 0 if it rejects the key.'),
  forwarder_seal_timestamp_seconds: gauge('s', 'When the interval of the newest seal ended, by tenant and sink.'),
  forwarder_seal_interval_seconds: gauge('s', 'The longest interval of a seal (evidence.every), by tenant and sink.'),
  forwarder_seal_sequence: gauge('', 'Number of the newest seal, by tenant and sink.'),
  forwarder_last_poll_timestamp_seconds: gauge('s', 'When a page was last read.'),
  forwarder_sink_failing_seconds: gauge('s', 'How long a sink has been failing or parked, by sink; 0 if it works.'),
  forwarder_ready: gauge('', '1 if /readyz returns 200, else 0.'),
  forwarder_certificate_expiry_timestamp_seconds: gauge('s', 'When a TLS certificate expires, by peer.'),
  forwarder_clock_difference_seconds: gauge('s', 'The server’s clock minus the local clock.'),
  forwarder_log_lines_dropped_total: {
    ...counter('{line}', 'Log lines dropped because standard error was not read.'),
    // Read at each collection: while the reader is stalled no event can report it.
    kind: 'observed counter',
  },
} as const satisfies Record<string, Row<Kind>>;

export type MetricName = keyof typeof metricTable;
type NameOf<K extends Kind> = { [N in MetricName]: (typeof metricTable)[N]['kind'] extends K ? N : never }[MetricName];
export type CounterName = NameOf<'counter'>;
export type HistogramName = NameOf<'histogram'>;

/** What the catalog's entries write metrics to. */
export interface MetricRecorder {
  add(name: CounterName, value: number, labels?: Readonly<Record<string, string>>): void;
  record(name: HistogramName, value: number, labels?: Readonly<Record<string, string>>): void;
}

function counter(unit: string, description: string): Row<'counter'> {
  return { kind: 'counter', unit, description };
}

function histogram(unit: string, description: string, explicitBucketBoundaries: number[]): Row<'histogram'> {
  return { kind: 'histogram', unit, description, advice: { explicitBucketBoundaries } };
}

function gauge(unit: string, description: string): Row<'gauge'> {
  return { kind: 'gauge', unit, description };
}
