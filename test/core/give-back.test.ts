import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { collectAll, giveMemoryBack } from '../../src/core/give-back.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('gives memory back in the first quiet moments, and again only after much work', () => {
  let [cpuMs, collected] = [400, 0];
  const giving = giveMemoryBack({
    cpuMs: () => cpuMs,
    collect: () => {
      collected++;
      cpuMs += 50;
    },
  });
  const pass = (ms: number) => {
    cpuMs += ms;
    vi.advanceTimersByTime(5_000);
    return collected;
  };
  expect(pass(1_500)).toBe(0);
  expect(pass(300)).toBe(0);
  expect(pass(200)).toBe(1);
  expect(pass(0)).toBe(1);
  expect(pass(900)).toBe(1);
  expect(pass(0)).toBe(1);
  expect(pass(1_000)).toBe(1);
  expect(pass(0)).toBe(2);
  pass(2_000);
  giving[Symbol.dispose]();
  expect(pass(0)).toBe(2);
});

it('collects what nobody holds, and leaves nobody else the means to', async () => {
  vi.useRealTimers();
  const held = new WeakRef({});
  // Within the turn in which it was made it stays.
  await new Promise((resolve) => setImmediate(resolve));
  collectAll();
  expect(held.deref()).toBeUndefined();
  expect(Reflect.has(globalThis, 'gc')).toBe(false);
});
