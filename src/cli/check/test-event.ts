import type { Context } from '../../app/context.ts';
import { type AuditEvent, auditEvent } from '../../event/event.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { EncodingFailure, type EncodingOptions, encodeEvent } from '../../pipeline/encode.ts';
import type { Sink } from '../../sinks/sink.ts';

/** How long a confirmation is waited for, milliseconds: an indexer may take minutes. */
const confirmMs = 30_000;

/** One event that nobody can take for a real one: ids of the audit log begin at 1. */
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

/** Delivers it, past the filter; `unconfirmed` where it was taken and nothing more was heard in time. */
export async function sendTestEvent(
  sink: Sink,
  wanted: EncodingOptions,
  { version, now }: Context,
  stop: AbortSignal,
): Promise<Verdict | 'unconfirmed'> {
  const shaped = encodeEvent(testEvent(version, now()), { ...wanted, wants: () => true });
  if (shaped === undefined) throw new Error('the test event was filtered');
  if (shaped instanceof EncodingFailure) throw new Error(shaped.detail);
  const kill = new AbortController();
  const end = () => kill.abort(new Error('not confirmed in time'));
  stop.addEventListener('abort', end);
  const timer = setTimeout(end, confirmMs);
  try {
    const answer = await sink.send({ records: [shaped] }, kill.signal);
    if (answer.kind !== 'sent') return answer;
    const confirmed = answer.confirmed.catch(() => undefined);
    await untilAborted(
      kill.signal,
      (sink.finish?.(kill.signal) ?? Promise.resolve()).catch(() => {}),
    );
    return (await untilAborted(kill.signal, confirmed)) ?? 'unconfirmed';
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', end);
  }
}
