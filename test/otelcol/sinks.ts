import type { Encoded } from '../../src/event/event.ts';
import type { Sink, SinkDeps } from '../../src/sinks/sink.ts';
import type { PollInterval } from '../../src/sinks/splunk-hec/ack-poller.ts';
import { type SplunkHecOptions, splunkHecOptions } from '../../src/sinks/splunk-hec/options.ts';
import { openSplunkHec } from '../../src/sinks/splunk-hec/sink.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { quick } from '../support/hec-sink.ts';
import { sinkDeps } from '../support/sink-parts.ts';
import type { Collector } from './collector.ts';

export const token = '6d2bd2a4-0000-4000-8000-1f0c3c7f3f3e';

export interface Opened extends AsyncDisposable {
  readonly sink: Sink;
  readonly heard: TelemetryEvent[];
}

/** `parsed`: values that a configuration does not allow. */
export interface Set {
  readonly options?: object;
  readonly parsed?: Partial<SplunkHecOptions>;
  readonly deps?: Partial<SinkDeps>;
  readonly interval?: PollInterval;
}

/** A sink for a collector, as `options` configure it. */
export function openSink({ url }: Collector, { options, parsed, deps, interval = quick }: Set = {}): Opened {
  const all = { ...splunkHecOptions.parse({ type: 'splunk-hec', url, token, ...options }), ...parsed };
  const own = sinkDeps(deps);
  const sink = openSplunkHec(all, own, interval);
  return { sink, heard: own.heard, [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose]() };
}

/** Records in batches of `size`. */
export function batchesOf(records: readonly Encoded[], size: number): { records: Encoded[] }[] {
  return Array.from({ length: Math.ceil(records.length / size) }, (_, at) => ({
    records: records.slice(at * size, (at + 1) * size),
  }));
}

/** What the collector can have understood of a text: Go has no lone surrogates, and reads U+FFFD instead. */
export function meaningOf(text: string): unknown {
  return wellFormed(JSON.parse(text));
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]));
}
