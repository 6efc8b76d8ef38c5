import { expect, it } from 'vitest';
import { backoffMs, retryUntilSettled } from '../../src/lib/backoff.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { accepted, type Retry } from '../../src/lib/verdict.ts';

const retry = (afterMs?: number): Retry => ({
  kind: 'retry',
  reason: 'server',
  detail: 'busy',
  ...(afterMs !== undefined && { afterMs }),
});
const never = new AbortController().signal;
const running = { graceful: never, forced: never };
const backoff = { firstMs: 1, longestMs: 2, random: () => 1 };

it('the wait doubles up to the longest, with full jitter', () => {
  const waits = (random: number) =>
    [1, 2, 3, 4, 100].map((attempt) => backoffMs({ firstMs: 1000, longestMs: 6000 }, attempt, () => random));
  expect(waits(1)).toEqual([1000, 2000, 4000, 6000, 6000]);
  expect(waits(0.5)).toEqual([500, 1000, 2000, 3000, 3000]);
});

it('the question is repeated until the answer is not a retry, and each wait is reported', async () => {
  const reported: unknown[] = [];
  const onRetry = (verdict: Retry, attempt: number, waitMs: number) => reported.push([verdict.detail, attempt, waitMs]);
  const answer = await retryUntilSettled(
    async (attempt) => (attempt < 4 ? retry(attempt === 2 ? 5 : undefined) : accepted),
    { ...backoff, onRetry },
    running,
  );
  expect(answer).toBe(accepted);
  expect(reported).toEqual([
    ['busy', 1, 1],
    ['busy', 2, 5],
    ['busy', 3, 2],
  ]);
});

it('a stop ends a wait with the last answer, and asks once even if it came before', async () => {
  const stop = new AbortController();
  const onRetry = () => stop.abort();
  const answer = await retryUntilSettled(
    async () => retry(60_000),
    { ...backoff, onRetry },
    { graceful: stop.signal, forced: never },
  );
  expect(answer).toEqual(retry(60_000));
  expect(await retryUntilSettled(async () => accepted, backoff, { graceful: stop.signal, forced: never })).toBe(
    accepted,
  );
});

it('a wake-up ends the wait', async () => {
  const wake = new Notifier();
  const onRetry = () => queueMicrotask(() => wake.notify());
  const answer = await retryUntilSettled(
    async (attempt) => (attempt === 1 ? retry(60_000) : accepted),
    { ...backoff, wake, onRetry },
    running,
  );
  expect(answer).toBe(accepted);
});

it('what the question throws is thrown', async () => {
  const ask = async () => {
    throw new TypeError('a bug');
  };
  await expect(retryUntilSettled(ask, backoff, running)).rejects.toThrow('a bug');
});
