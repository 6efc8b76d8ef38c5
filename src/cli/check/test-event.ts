import type { Context } from '../../app/context.ts';
import { type AuditEvent, auditEvent } from '../../event/event.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { EncodingFailure, type EncodingOptions, encodeEvent } from '../../pipeline/encode.ts';
import type { Sink } from '../../sinks/sink.ts';

/** Longest wait for a confirmation, milliseconds; an indexer may take minutes. */
const confirmMs = 30_000;

/** An event that can't be mistaken for a real one: ids of the audit log start at 1. */
export function testEvent(version: string, nowMs: number): AuditEvent {
  const value = {
    id: 0,
    user: null,
    action: 'siem_forwarder.test',
    ip: '127.0.0.1',
    userAgent: `qasphere-siem-forwarder/${version} check`,
    createdAt: new Date(nowMs).toISOString(),
    meta: { test: true, message: 'TEST EVENT of qasphere-siem-forwarder check: not part of the audit log' },
  };
  return auditEvent({ id: 0n, text: Buffer.from(JSON.stringify(value)), value, receivedAtMs: nowMs });
}

/** Delivers the test event, whatever the filter; `unconfirmed` if it was sent and no confirmation came in time. */
export async function sendTestEvent(
  sink: Sink,
  options: EncodingOptions,
  { version, now }: Context,
  signal: AbortSignal,
): Promise<Verdict | 'unconfirmed'> {
  const encoded = encodeEvent(testEvent(version, now()), { ...options, wants: () => true });
  if (encoded === undefined) throw new Error('the test event was filtered');
  if (encoded instanceof EncodingFailure) throw new Error(encoded.detail);
  const forced = new AbortController();
  const end = () => forced.abort(new Error('not confirmed in time'));
  signal.addEventListener('abort', end);
  const timer = setTimeout(end, confirmMs);
  try {
    const answer = await sink.send({ records: [encoded] }, forced.signal);
    if (answer.kind !== 'sent') return answer;
    const undefinedIfAborted = (error: unknown) => {
      if (!forced.signal.aborted) throw error;
    };
    const confirmed = answer.confirmed.catch(undefinedIfAborted);
    await untilAborted(forced.signal, Promise.resolve(sink.finish?.(forced.signal)).catch(undefinedIfAborted));
    return (await untilAborted(forced.signal, confirmed)) ?? 'unconfirmed';
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
