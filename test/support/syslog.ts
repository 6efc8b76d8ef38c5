import { type AuditEvent, auditEvent, type Batch, type Encoded, eventValue } from '../../src/event/event.ts';
import type { Format } from '../../src/format/format.ts';
import type { Reject, Verdict } from '../../src/lib/verdict.ts';
import type { Sink, SinkDeps } from '../../src/sinks/sink.ts';
import { composeMessage, messageOptions } from '../../src/sinks/syslog/message.ts';
import { type SyslogOptions, syslogOptions } from '../../src/sinks/syslog/options.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';

/** The event's own text: format json without an envelope. */
export const plainJson: Format = { name: 'json', json: true, encode: (event) => event.text };

export const options = (given: Record<string, unknown>): SyslogOptions =>
  syslogOptions.parse({ type: 'syslog', ...given });

export function sinkDeps(format: Format = plainJson): SinkDeps & { readonly events: TelemetryEvent[] } {
  const events: TelemetryEvent[] = [];
  return {
    name: 'syslog',
    tenant: 'acme.eu1.qasphere.com',
    version: '0.1.0',
    format,
    emit: (event) => void events.push(event),
    now: Date.now,
    random: Math.random,
    env: {},
    events,
  };
}

export function eventOf(value: Record<string, unknown> & { id: number | bigint }): AuditEvent {
  const { id, ...rest } = value;
  const text = JSON.stringify(rest).replace('{', `{"id":${id}${Object.keys(rest).length > 0 ? ',' : ''}`);
  return eventFromText(BigInt(id), text);
}

export function eventFromText(id: bigint, text: string): AuditEvent {
  return auditEvent({ id, text: Buffer.from(text, 'utf8'), receivedAtMs: Date.UTC(2026, 10, 23) });
}

export const encoded = (event: AuditEvent, format: Format = plainJson): Encoded => ({
  event,
  redacted: event,
  record: format.encode(event),
});

/** What a reader must find in our structured data element; independent of the code under test. */
export function parametersOf(event: AuditEvent): Record<string, string> {
  const { id } = event;
  const value = eventValue(event);
  const user = value['user'] as Record<string, unknown> | null | undefined;
  const named = [user?.['email'], user?.['name'], user?.['id']].find(
    (one) => typeof one !== 'object' && (one ?? '') !== '',
  );
  const given = { id, action: value['action'], user: named, src: value['ip'], tenant: 'acme.eu1.qasphere.com' };
  const present = Object.entries(given).filter(([, one]) => one !== undefined && one !== '');
  return Object.fromEntries(present.map(([name, one]) => [name, visible(String(one))]));
}

/** Text with escapes for control characters. */
const visible = (text: string) =>
  text
    .toWellFormed()
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
      (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );

export interface Driven {
  readonly setAside: { readonly id: bigint; readonly verdict: Reject }[];
  readonly retries: string[];
  sent: number;
}

/**
 * A pipeline in short: the largest batches allowed, in order, each after `before`. A batch that is handed back is sent again
 * without what was accepted, oldest first; a rejected batch is sent record by record.
 */
export async function drive(sink: Sink, records: readonly Encoded[], before = async (_batch: Encoded[]) => {}) {
  const size = sink.limits.maxEvents;
  const driven: Driven = { setAside: [], retries: [], sent: 0 };
  const waiting: Encoded[][] = [];
  for (let at = 0; at < records.length; at += size) waiting.push(records.slice(at, at + size));
  const open: { readonly records: Encoded[]; readonly confirmed: Promise<Verdict> }[] = [];

  const handle = async (batch: Encoded[], verdict: Verdict): Promise<void> => {
    if (verdict.kind === 'accepted') return;
    const { acceptedPrefix = 0, acceptedIndexes = [] } = verdict;
    const rest = batch.filter((_, index) => index >= acceptedPrefix && !acceptedIndexes.includes(index));
    if (verdict.kind === 'stop') throw new Error(verdict.detail);
    if (verdict.kind === 'retry') {
      driven.retries.push(verdict.detail);
      const middle = verdict.narrow && rest.length > 1 ? Math.ceil(rest.length / 2) : rest.length;
      waiting.unshift(...[rest.slice(0, middle), rest.slice(middle)].filter(({ length }) => length > 0));
      await new Promise((resolve) => setTimeout(resolve, 50));
    } else if (rest.length > 1) waiting.unshift(...rest.map((one) => [one]));
    else for (const one of rest) driven.setAside.push({ id: one.event.id, verdict });
  };
  const settleOldest = async () => {
    const failed: { readonly records: Encoded[]; readonly verdict: Verdict }[] = [];
    const oldest = open.shift();
    if (oldest !== undefined) failed.push({ records: oldest.records, verdict: await oldest.confirmed });
    if (failed[0]?.verdict.kind === 'accepted') return;
    for (const later of open.splice(0)) failed.push({ records: later.records, verdict: await later.confirmed });
    for (const { records, verdict } of failed.toReversed()) await handle(records, verdict);
  };

  while (waiting.length > 0 || open.length > 0) {
    const next = open.length < sink.window ? waiting.shift() : undefined;
    if (next === undefined) {
      if (waiting.length === 0) await sink.finish?.(never);
      await settleOldest();
      continue;
    }
    await before(next);
    driven.sent += next.length;
    const answer = await sink.send({ records: next } satisfies Batch, never);
    if (answer.kind === 'sent') open.push({ records: next, confirmed: answer.confirmed });
    else {
      const later = answer.kind === 'retry' ? open.splice(0) : [];
      await handle(next, answer);
      for (const batch of later.toReversed()) await handle(batch.records, await batch.confirmed);
    }
  }
  return driven;
}

const never = new AbortController().signal;

/** How messages are composed with these options. */
export const composing = (given: Record<string, unknown> = {}, format: Format = plainJson) =>
  messageOptions(options({ address: 'tcp://127.0.0.1', ...given }), sinkDeps(format));

/** The message of one event, or why it can't be encoded. */
export const compose = (
  event: AuditEvent,
  given: Record<string, unknown> = {},
  format: Format = plainJson,
): Buffer | Reject => composeMessage(encoded(event, format), composing(given, format));
