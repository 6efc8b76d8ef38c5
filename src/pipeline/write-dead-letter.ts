import type { Encoded } from '../event/event.ts';
import { insist } from '../lib/backoff.ts';
import type { Life } from '../lib/shutdown.ts';
import type { Retry, SetAside } from '../lib/verdict.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';
import type { DeadLetter } from './dead-letter.ts';

export interface SettingAside {
  readonly sink: string;
  readonly deadLetter: DeadLetter;
  readonly observe: Observe;
  readonly random: () => number;
}

/**
 * Puts a record into the dead letter and says so; where the disk refuses, again and again until `life.stop`. True where
 * it is there.
 */
export async function putAside(
  { event }: Encoded,
  { reason, detail }: SetAside,
  { sink, deadLetter, observe, random }: SettingAside,
  life: Life,
): Promise<boolean> {
  let sinceMs: number | undefined;
  const verdict = await insist<Retry | { kind: 'kept' }>(
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
        observe({ event: 'checkpoint.retry', sink, detail: retry.detail, attempt, waitMs });
      },
    },
    life,
  );
  if (verdict.kind !== 'kept') return false;
  if (sinceMs !== undefined)
    observe({ event: 'checkpoint.recovered', sink, outageMs: Math.round(performance.now() - sinceMs) });
  observe({ event: 'route.set_aside', sink, id: event.id, reason, detail });
  return true;
}
