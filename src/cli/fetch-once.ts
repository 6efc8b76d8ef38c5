import type { Cursor } from '../event/event.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { AuditApi } from '../source/audit-api.ts';

/** At the full request rate, jitter can cause a 429; the rate limiter slows down after it. */
const maxAttempts = 3;
/** No longer wait than this is worth it, milliseconds. */
const maxWaitMs = 5_000;

/** `AuditApi.fetch` for a person who waits: only a 429 is repeated. @throws the reason of `signals.forced` */
export async function fetchOnce(
  api: AuditApi,
  after: Cursor,
  signals: ShutdownSignals,
  count?: number,
): ReturnType<AuditApi['fetch']> {
  for (let left = maxAttempts; ; left--) {
    const answer = await api.fetch(after, signals, count);
    if (left <= 1 || answer?.kind !== 'retry' || answer.reason !== 'throttled') return answer;
    if ((answer.afterMs ?? 0) > maxWaitMs) return answer;
  }
}
