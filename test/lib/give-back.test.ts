import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectAll, giveMemoryBack } from '../../src/lib/give-back.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('gives memory back in the first quiet moments, and again only after much work', async () => {
  let [cpuMs, collected, trimmed] = [400, 0, 0];
  const giving = giveMemoryBack({
    cpuMs: () => cpuMs,
    collect: () => {
      collected++;
      cpuMs += 50;
    },
    trim: async () => {
      trimmed++;
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
  // In each quiet look, however little there was to collect.
  expect(trimmed).toBe(4);
  await giving[Symbol.asyncDispose]();
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

const module = new URL('../../src/lib/give-back.ts', import.meta.url).href;
/** Frees all of 64 MiB but the last piece, which keeps the C library from giving the rest back by itself. */
const program = (begin: string) => `
  import { mallocTrim } from '${module}';
  const resident = () => process.memoryUsage.rss() / 1024 ** 2;
  let pieces = Array.from({ length: 2048 }, () => Buffer.alloc(32 * 1024, 1));
  const full = resident();
  globalThis.last = pieces.at(-1);
  pieces = undefined;
  for (let round = 0; round < 10; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const freed = resident();
  ${begin}
  console.log(JSON.stringify({ kept: freed > full - 16, back: resident() <= full - 48 }));
`;
const run = (begin: string) => {
  const words = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program(begin)];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8', env: {} }));
};
const isGlibc = 'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header;

describe.skipIf(!isGlibc)('memory that was freed (skipped without glibc)', () => {
  it('is given back to the system', () => {
    expect(run('(await mallocTrim())();')).toEqual({ kept: true, back: true });
  });

  it('would not be otherwise', () => {
    expect(run('')).toEqual({ kept: true, back: false });
  });
});
