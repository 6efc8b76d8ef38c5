import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimiter } from '../../src/source/rate-limiter.ts';

const never = new AbortController().signal;
const signals = { graceful: never, forced: never };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** When each of `count` requests gets its turn, milliseconds; each is on the wire at once. */
async function turns(rateLimiter: RateLimiter, count: number): Promise<number[]> {
  const times: number[] = [];
  const taking = (async () => {
    for (let i = 0; i < count; i++) {
      const answered = await rateLimiter.acquire(signals);
      times.push(performance.now());
      answered?.(performance.now());
    }
  })();
  await vi.runAllTimersAsync();
  await taking;
  return times;
}

describe('the rate limiter', () => {
  it('lets no more than its limit through in any second', async () => {
    const times = await turns(new RateLimiter(3, () => performance.now()), 9);
    for (let i = 3; i < times.length; i++) expect((times[i] ?? 0) - (times[i - 3] ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  it('counts the requests of the limiter that it replaces, whatever its limit was', async () => {
    const before = new RateLimiter(5, () => performance.now());
    const first = await turns(before, 5);
    const [again = 0] = await turns(new RateLimiter(2, () => performance.now(), before), 1);
    expect(again - (first[0] ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  it('counts earlier requests when the rate is lowered, so that no second has more', async () => {
    const rateLimiter = new RateLimiter(10, () => performance.now());
    const fast = await turns(rateLimiter, 25);
    rateLimiter.setRate(5);
    const slow = await turns(rateLimiter, 12);
    const all = [...fast, ...slow];
    for (const [index, at] of all.entries())
      if (index >= fast.length)
        expect(all.filter((other) => other > at - 1_000 && other <= at).length).toBeLessThanOrEqual(5);
  });

  it('keeps the pause of the limiter that it replaces', async () => {
    const before = new RateLimiter(5, () => performance.now());
    before.pause(30_000);
    const now = performance.now();
    const [first = 0] = await turns(new RateLimiter(5, () => performance.now(), before), 1);
    expect(first - now).toBeGreaterThanOrEqual(30_000);
  });
});
