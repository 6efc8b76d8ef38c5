import pRetry from 'p-retry';
import { Notifier } from './notifier.ts';
import type { ShutdownSignals } from './shutdown.ts';
import type { Retry } from './verdict.ts';

export interface Backoff {
  /** First and longest wait, milliseconds. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0 ≤ x < 1: full jitter. */
  readonly random: () => number;
  /** Ends a wait early: asked for by a person (SIGHUP). */
  readonly wake?: Notifier;
  /** Called before each wait. */
  readonly onRetry?: (verdict: Retry, attempt: number, waitMs: number) => void;
}

/** The wait before try `attempt` + 1, milliseconds: doubling up to the longest, with full jitter. */
export function backoffMs(
  { firstMs, longestMs }: Pick<Backoff, 'firstMs' | 'longestMs'>,
  attempt: number,
  random: () => number,
): number {
  return Math.round(random() * Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30)));
}

/**
 * Asks until the answer is no `retry`, or `signals.graceful` fires: then the last answer comes back, whatever it is.
 * Waits grow by doubling up to `longestMs`, with full jitter; the other side's `afterMs` wins where it is longer.
 * A success that arrives while stopping is kept. @throws what `ask` throws (a bug, or the reason of `signals.forced`)
 */
export async function retryUntilSettled<A extends { kind: string }>(
  ask: (attempt: number) => Promise<A | Retry>,
  backoff: Backoff,
  signals: ShutdownSignals,
): Promise<A | Retry> {
  let last: A | Retry | undefined;
  let thrown: { error: unknown } | undefined;
  const again = new Error('again');
  const once = async (attempt: number) => {
    try {
      last = await ask(attempt);
    } catch (error) {
      thrown = { error };
      throw again;
    }
  };
  const waitBeforeNext = async (attempt: number) => {
    if (last?.kind !== 'retry' || thrown !== undefined) return;
    const verdict = last as Retry;
    const waitMs = Math.max(verdict.afterMs ?? 0, backoffMs(backoff, attempt, backoff.random), 1);
    backoff.onRetry?.(verdict, attempt, waitMs);
    await (backoff.wake ?? new Notifier()).wait(signals.graceful, waitMs);
  };
  try {
    await pRetry(
      async (attempt) => {
        await once(attempt);
        if (last?.kind === 'retry') throw again;
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        maxTimeout: 0,
        signal: signals.graceful,
        shouldRetry: () => thrown === undefined,
        onFailedAttempt: ({ attemptNumber }) => waitBeforeNext(attemptNumber),
      },
    );
  } catch (error) {
    // `again` and the reason of `stop` only say that the asking ended: the answer, or the throw, lies beside.
    if (error !== again && !signals.graceful.aborted) throw error;
  }
  if (last === undefined && thrown === undefined) await once(1).catch(() => {});
  if (thrown !== undefined) throw thrown.error;
  return last as A | Retry;
}
