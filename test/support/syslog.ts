import { type AuditEvent, auditEvent, type Batch, type Encoded, eventValue } from '../../src/event/event.ts';
import type { Format } from '../../src/format/format.ts';
import type { Reject, Verdict } from '../../src/lib/verdict.ts';
import type { Sink, SinkDeps } from '../../src/sinks/sink.ts';
import { Message } from '../../src/sinks/syslog/message.ts';
import { messageWithin } from '../../src/sinks/syslog/message-size.ts';
import { type SyslogOptions, syslogOptions } from '../../src/sinks/syslog/options.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';

/** The event's own text: what format json is without an envelope. */
export const plainJson: Format = { name: 'json', json: true, encode: (event) => event.text };

export const options = (given: Record<string, unknown>): SyslogOptions =>
  syslogOptions.parse({ type: 'syslog', ...given });

export function sinkDeps(format: Format = plainJson): SinkDeps & { readonly happenings: TelemetryEvent[] } {
  const happenings: TelemetryEvent[] = [];
  return {
    name: 'syslog',
    tenant: 'acme.eu1.qasphere.com',
    version: '0.1.0',
    format,
    emit: (happening) => void happenings.push(happening),
    now: Date.now,
    random: Math.random,
    env: {},
    happenings,
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

/** What a reader must find in our structured data element: written apart from the code under test. */
export function parametersOf(event: AuditEvent): Record<string, string> {
  const { id } = event;
  const value = eventValue(event);
  const user = value['user'] as Record<string, unknown> | null | undefined;
  const named = [user?.['email'], user?.['name'], user?.['id']].find(
    (one) => typeof one !== 'object' && (one ?? '') !== '',
  );
  const given = { id, action: value['action'], user: named, src: value['ip'], tenant: 'acme.eu1.qasphere.com' };
  const kept = Object.entries(given).filter(([, one]) => one !== undefined && one !== '');
  return Object.fromEntries(kept.map(([name, one]) => [name, visible(String(one))]));
}

/** Text with controls shown as escapes. */
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
 * What a route does, in short: batches as large as may be, in order, each after `before`; what comes back for a retry is sent again from `taken` on,
 * oldest first; a refused batch is sent record by record.
 */
export async function drive(sink: Sink, records: readonly Encoded[], before = async (_batch: Encoded[]) => {}) {
  const size = sink.limits.maxEvents;
  const kill = never;
  const driven: Driven = { setAside: [], retries: [], sent: 0 };
  const waiting: Encoded[][] = [];
  for (let at = 0; at < records.length; at += size) waiting.push(records.slice(at, at + size));
  const open: { readonly records: Encoded[]; readonly confirmed: Promise<Verdict> }[] = [];

  const judge = async (batch: Encoded[], verdict: Verdict): Promise<void> => {
    if (verdict.kind === 'accepted') return;
    const rest = batch.slice(verdict.acceptedPrefix ?? 0);
    if (verdict.kind === 'stop') throw new Error(verdict.detail);
    if (verdict.kind === 'retry') {
      driven.retries.push(verdict.detail);
      waiting.unshift(rest);
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
    for (const { records, verdict } of failed.toReversed()) await judge(records, verdict);
  };

  while (waiting.length > 0 || open.length > 0) {
    const next = open.length < sink.window ? waiting.shift() : undefined;
    if (next === undefined) {
      if (waiting.length === 0) await sink.finish?.(kill);
      await settleOldest();
      continue;
    }
    await before(next);
    driven.sent += next.length;
    const answer = await sink.send({ records: next } satisfies Batch, kill);
    if (answer.kind === 'sent') open.push({ records: next, confirmed: answer.confirmed });
    else {
      const later = answer.kind === 'retry' ? open.splice(0) : [];
      await judge(next, answer);
      for (const batch of later.toReversed()) await judge(batch.records, await batch.confirmed);
    }
  }
  return driven;
}

const never = new AbortController().signal;

/** The message of one record as bytes, or why there is none. */
export function bytesWithin(...args: Parameters<typeof messageWithin>): Buffer | Reject {
  const message = messageWithin(...args);
  return message instanceof Message ? message.toBuffer() : message;
}
