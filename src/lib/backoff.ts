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
  /** Ends a wait early: a person asked for it (SIGHUP). */
  readonly wake?: Notifier;
  /** Called before each wait. */
  readonly onRetry?: (verdict: Retry, attempt: number, waitMs: number) => void;
}

/** The wait before attempt `attempt` + 1, milliseconds: doubles up to the longest, with full jitter. */
export function backoffMs(
  { firstMs, longestMs }: Pick<Backoff, 'firstMs' | 'longestMs'>,
  attempt: number,
  random: () => number,
): number {
  return Math.round(random() * Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30)));
}

/**
 * Calls `ask` until its answer is not `retry`, or `signals.graceful` fires: then the last answer is returned, whatever it
 * is. Always calls it once. Waits double up to `longestMs`, with full jitter; the other side's `afterMs` takes precedence
 * if it is longer. @throws what `ask` throws (a bug, or the reason of `signals.forced`)
 */
export async function retryUntilSettled<A extends { kind: string }>(
  ask: (attempt: number) => Promise<A | Retry>,
  backoff: Backoff,
  signals: ShutdownSignals,
): Promise<A | Retry> {
  const { wake = new Notifier(), onRetry, random } = backoff;
  const attemptOnce = async (attempt: number): Promise<A | Retry> => {
    const answer = await ask(attempt);
    if (answer.kind === 'retry') throw new Unsettled(answer as Retry);
    return answer;
  };
  try {
    // p-retry counts and repeats; the wait is ours, because a wake-up ends it early and its length is the answer's to ask.
    return await pRetry(attemptOnce, {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      async onFailedAttempt({ error, attemptNumber }) {
        if (!(error instanceof Unsettled) || signals.graceful.aborted) return;
        const { retry } = error;
        const waitMs = Math.max(retry.afterMs ?? 0, backoffMs(backoff, attemptNumber, random), 1);
        onRetry?.(retry, attemptNumber, waitMs);
        await wake.wait(signals.graceful, waitMs);
      },
      shouldRetry: ({ error }) => error instanceof Unsettled && !signals.graceful.aborted,
    });
  } catch (error) {
    if (error instanceof Unsettled) return error.retry;
    throw error;
  }
}

/** Carries a `retry` verdict through p-retry, which repeats what throws. */
class Unsettled extends Error {
  readonly retry: Retry;

  constructor(retry: Retry) {
    super(retry.detail);
    this.retry = retry;
  }
}
