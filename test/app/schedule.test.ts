import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CronSchedule } from '../../src/app/schedule.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Counts the ticks of `schedule`, until the count is disposed of. */
function countTicks(schedule: string) {
  const ticks = new CronSchedule(schedule);
  const stop = new AbortController();
  const counter = { count: 0 };
  const counting = (async () => {
    for (let last = Number.NEGATIVE_INFINITY; ; counter.count++) {
      const tick = await ticks.next(last, stop.signal);
      if (tick === undefined) return;
      last = tick;
    }
  })();
  return {
    counter,
    ticks,
    async [Symbol.asyncDispose]() {
      stop.abort();
      ticks[Symbol.dispose]();
      await counting;
    },
  };
}

it.each([
  ['a minute', 60_000],
  ['a day', 86_400_000],
])('ticks on after the wall clock is set back by %s', async (_, ms) => {
  await using ticking = countTicks('* * * * * *');
  const { counter } = ticking;
  await vi.advanceTimersByTimeAsync(3_000);
  expect(counter.count).toBeGreaterThanOrEqual(3);
  vi.setSystemTime(Date.now() - ms);
  const before = counter.count;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(counter.count - before).toBeGreaterThan(10);
});

it.each([
  ['a month', 30 * 86_400_000],
  ['ten years', 3_653 * 86_400_000],
])('ticks once for a jump of the wall clock forward by %s', async (_, ms) => {
  await using ticking = countTicks('* * * * * *');
  const { counter } = ticking;
  await vi.advanceTimersByTimeAsync(3_000);
  vi.setSystemTime(Date.now() + ms);
  const before = counter.count;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(counter.count - before).toBeLessThanOrEqual(2);
  expect(counter.count - before).toBeGreaterThanOrEqual(1);
  const then = counter.count;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(counter.count - then).toBeGreaterThanOrEqual(9);
});

it('takes up another schedule from the next time on', async () => {
  await using ticking = countTicks('0 0 0 1 1 *');
  const { counter, ticks } = ticking;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(counter.count).toBe(1);
  ticks.change('*/10 * * * * *');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(counter.count).toBe(7);
});
