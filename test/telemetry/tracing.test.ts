import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Emit, TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { createTracing } from '../../src/telemetry/tracing.ts';
import { samples } from '../support/telemetry-events.ts';

const exporter = new InMemorySpanExporter();
let now: number;
let emit: Emit;
const emitAll = (...events: TelemetryEvent[]) => {
  for (const event of events) emit(event);
};
const spans = () => exporter.getFinishedSpans();
const named = (name: string) => spans().filter((span) => span.name === name);
const ms = ([seconds, nanos]: readonly [number, number]) => seconds * 1000 + nanos / 1e6;

beforeEach(() => {
  exporter.reset();
  now = Date.UTC(2026, 0, 1);
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  emit = createTracing({
    tracer: provider.getTracer('test'),
    now: () => now,
    origin: 'https://acme.eu1.qasphere.com',
  });
});

const polling = samples['pipeline.polling'];

describe('traces', () => {
  it('have one span per poll with the children page, encode, deliver and checkpoint', () => {
    emitAll(polling);
    now += 100;
    emitAll({ ...samples['source.response'], elapsedMs: 80 }, samples['pipeline.encoded'], samples['pipeline.poll']);
    now += 50;
    emitAll({ ...samples['pipeline.delivered'], elapsedMs: 40 }, samples['checkpoint.saved']);
    const [poll] = named('poll');
    const children = ['page', 'encode', 'deliver', 'checkpoint'].flatMap(named);
    expect(children).toHaveLength(4);
    for (const child of children) {
      expect(child.parentSpanContext?.spanId).toBe(poll?.spanContext().spanId);
      expect(child.spanContext().traceId).toBe(poll?.spanContext().traceId);
    }
    expect(poll && ms(poll.duration)).toBe(100);
    expect(named('page').map(({ duration }) => ms(duration))).toEqual([80]);
    expect(named('deliver').map(({ duration }) => ms(duration))).toEqual([40]);
  });

  it('put the polls of two sinks into separate traces', () => {
    emitAll(polling, { ...polling, sink: 'other' });
    emitAll({ ...samples['pipeline.encoded'], sink: 'other' }, samples['pipeline.encoded']);
    expect(new Set(named('encode').map((span) => span.spanContext().traceId)).size).toBe(2);
  });

  it('describe a request by the semantic conventions, and mark failures', () => {
    emitAll({ ...samples['source.response'], status: 503 }, { ...samples['source.response'], status: 'timeout' });
    emitAll(samples['pipeline.retry']);
    expect(named('page').map(({ attributes }) => attributes)).toMatchObject([
      {
        'http.request.method': 'GET',
        'http.response.status_code': 503,
        'server.address': 'acme.eu1.qasphere.com',
        'server.port': 443,
      },
      { 'error.type': 'timeout' },
    ]);
    // SpanStatusCode.ERROR
    expect(spans().map(({ status }) => status.code)).toEqual([2, 2, 2]);
  });

  it('end an interrupted poll when the next one begins', () => {
    emitAll(polling, polling, samples['pipeline.poll']);
    expect(named('poll')).toHaveLength(2);
  });
});
