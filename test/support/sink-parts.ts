import { type AuditEvent, auditEvent, type Encoded } from '../../src/event/event.ts';
import type { SinkDeps } from '../../src/sinks/sink.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';

/** An event as the source cuts it from a page. */
export function eventOf(text: string): AuditEvent {
  const id = BigInt(/"id":\s*(\d+)/.exec(text)?.[1] ?? 0);
  return auditEvent({ id, text: Buffer.from(text), receivedAtMs: 0 });
}

/** A record of a JSON format: the event's own text. */
export function recordOf(text: string): Encoded {
  const event = eventOf(text);
  return { event, redacted: event, record: event.text };
}

/** An event of which only the id matters. */
export const textOf = (id: number, more = ''): string =>
  `{"id":${id},"user":null,"action":"user.login","ip":"203.0.113.7","userAgent":"test","createdAt":"2026-03-01T10:00:00.${String(id % 1000).padStart(3, '0')}Z"${more}}`;

/** A batch of the ids from `first` to `last`. */
export function batchOf(first: number, last = first): { records: Encoded[] } {
  return { records: Array.from({ length: last - first + 1 }, (_, index) => recordOf(textOf(first + index))) };
}

/** What a sink gets, and everything it reported. */
export function sinkDeps(more: Partial<SinkDeps> = {}): SinkDeps & { readonly heard: TelemetryEvent[] } {
  const heard: TelemetryEvent[] = [];
  return {
    name: 'hec',
    tenant: 'acme.eu1.qasphere.com',
    version: '0.0.0-test',
    format: { name: 'json', json: true, encode: (event) => event.text },
    emit: (event) => heard.push(event),
    now: Date.now,
    random: Math.random,
    env: {},
    heard,
    ...more,
  };
}
