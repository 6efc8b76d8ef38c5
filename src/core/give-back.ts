import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often it is looked at, milliseconds. */
const everyMs = 5_000;
/** Below the first share of a core it counts as quiet, above the other as busy. */
const quiet = 0.05;
const busy = 0.2;
/** What one collection lets go of sets more free for the next. */
const rounds = 3;

interface Around {
  /** CPU this process has used, milliseconds. */
  readonly cpuMs: () => number;
  readonly giveBack: () => Promise<void>;
}

/**
 * Gives memory back once it has become quiet after the start, and after each time of much work; until disposed of. Collections
 * come with allocations, so a daemon that hardly makes any would keep for ever what its start and the first import left
 * behind: some 9 MiB, and some 20 more that the C library keeps. A look costs nothing that can be measured; giving back
 * takes some 100 ms.
 */
export function giveMemoryBack({ cpuMs, giveBack }: Around = own): AsyncDisposable {
  let isDue = true;
  let lastCpuMs = cpuMs();
  let giving = Promise.resolve();
  const timer = setInterval(() => {
    const share = (cpuMs() - lastCpuMs) / everyMs;
    lastCpuMs += share * everyMs;
    if (share >= busy) isDue = true;
    else if (share < quiet && isDue) {
      isDue = false;
      giving = giveBack();
    }
  }, everyMs).unref();
  return {
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      return giving;
    },
  };
}

const own: Around = {
  cpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  giveBack() {
    collectAll();
    return trim();
  },
};

/** Everything that is not in use, compiled code too: what V8 does before it would give up. Nothing where V8 has no such way. */
export function collectAll(): void {
  // Only contexts that are made after this have the function. The flag itself changes nothing else.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('globalThis.gc') as NodeJS.GCFunction | undefined;
  setFlagsFromString('--no-expose-gc');
  for (let round = 0; round < rounds; round++) gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Gives the system back what the C library holds of freed memory (malloc_trim(3)); nothing without glibc or `node:ffi`.
 * Never rejects.
 */
export async function trim(): Promise<void> {
  if (process.platform !== 'linux') return;
  try {
    const { dlopen } = await import('node:ffi');
    using glibc = dlopen(null, { malloc_trim: { arguments: ['uint64'], return: 'int32' } });
    glibc.functions.malloc_trim(0n);
  } catch {
    // It is kept, then.
  }
}
