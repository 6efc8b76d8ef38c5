import type { Encoded } from '../event/event.ts';
import { retryUntilSettled } from '../lib/backoff.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Reject, Retry } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { DeadLetter } from './dead-letter.ts';

export interface DeadLetterContext {
  readonly sink: string;
  readonly deadLetter: DeadLetter;
  readonly emit: Emit;
  readonly random: () => number;
}

/**
 * Puts a record into the dead letter and says so; where the disk refuses, again and again until `signals.graceful`. True where
 * it is there.
 */
export async function writeDeadLetter(
  { event }: Encoded,
  { reason, detail }: Reject,
  { sink, deadLetter, emit, random }: DeadLetterContext,
  signals: ShutdownSignals,
): Promise<boolean> {
  let sinceMs: number | undefined;
  const verdict = await retryUntilSettled<Retry | { kind: 'kept' }>(
    async () => {
      try {
        await deadLetter.append({ sink, reason: `${reason}: ${detail}`, event });
        return { kind: 'kept' };
      } catch (error) {
        const message = `the dead letter can't be written: ${(error as Error).message}`;
        return { kind: 'retry', reason: 'server', detail: message };
      }
    },
    {
      firstMs: 500,
      longestMs: 10_000,
      random,
      onRetry: (retry, attempt, waitMs) => {
        sinceMs ??= performance.now();
        emit({ event: 'checkpoint.retry', sink, detail: retry.detail, attempt, waitMs });
      },
    },
    signals,
  );
  if (verdict.kind !== 'kept') return false;
  if (sinceMs !== undefined)
    emit({ event: 'checkpoint.recovered', sink, outageMs: Math.round(performance.now() - sinceMs) });
  emit({ event: 'pipeline.set_aside', sink, id: event.id, reason, detail });
  return true;
}
