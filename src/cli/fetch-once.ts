import type { Cursor } from '../event/event.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { AuditApi } from '../source/audit-api.ts';

/** At full pace jitter can bring a 429: that is no answer yet, and the pace holds itself back after it. */
const tries = 3;
/** A longer wait is not waited for, milliseconds. */
const longestMs = 5_000;

/** `AuditApi.fetch` for a person who waits: nothing but a 429 is asked again. @throws the reason of `signals.forced` */
export async function fetchOnce(
  api: AuditApi,
  after: Cursor,
  signals: ShutdownSignals,
  count?: number,
): ReturnType<AuditApi['fetch']> {
  for (let left = tries; ; left--) {
    const answer = await api.fetch(after, signals, count);
    if (left <= 1 || answer?.kind !== 'retry' || answer.reason !== 'throttled') return answer;
    if ((answer.afterMs ?? 0) > longestMs) return answer;
  }
}
