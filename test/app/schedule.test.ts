import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CronSchedule } from '../../src/app/schedule.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) });
});
afterEach(() => {
  vi.useRealTimers();
});

it.each([
  ['a minute', 60_000],
  ['a day', 86_400_000],
])('ticks on after the wall clock was set back by %s', async (_, ms) => {
  await using ticks = new CronSchedule('* * * * * *');
  const { signal } = new AbortController();
  let latest = 0;
  let count = 0;
  void (async () => {
    for (;;) {
      latest = (await ticks.next(latest, signal)) ?? Number.POSITIVE_INFINITY;
      count += 1;
    }
  })();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(count).toBeGreaterThanOrEqual(3);
  vi.setSystemTime(Date.now() - ms);
  const before = count;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(count - before).toBeGreaterThan(10);
});
