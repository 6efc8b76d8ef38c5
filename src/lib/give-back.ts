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
  readonly collect: () => void;
  readonly trim: () => Promise<void>;
}

/**
 * Gives memory back while it is quiet, until disposed of. Collections come with allocations, so a daemon that hardly makes
 * any would keep for ever what its start and the first import left behind, some 9 MiB: it collects once after the start and
 * after each time of much work, which takes some 100 ms. The C library keeps freed memory too, up to 20 MiB after an import:
 * it is asked for that at every look, which takes a millisecond or less, after much work some more.
 */
export function giveMemoryBack({ cpuMs, collect, trim }: Around = own()): AsyncDisposable {
  let isDue = true;
  let lastCpuMs = cpuMs();
  let trimmed = Promise.resolve();
  const timer = setInterval(() => {
    const share = (cpuMs() - lastCpuMs) / everyMs;
    lastCpuMs += share * everyMs;
    if (share >= busy) isDue = true;
    if (share >= quiet) return;
    if (isDue) collect();
    isDue = false;
    trimmed = trim();
  }, everyMs).unref();
  return {
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      return trimmed;
    },
  };
}

function own(): Around {
  let trim: ReturnType<typeof mallocTrim> | undefined;
  return {
    cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    collect: collectAll,
    async trim() {
      trim ??= mallocTrim();
      (await trim)?.();
    },
  };
}

/** Everything that is not in use, compiled code too: what V8 does before it would give up. Nothing where V8 has no such way. */
export function collectAll(): void {
  // Only contexts that are made after this have the function. The flag itself changes nothing else.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('globalThis.gc') as NodeJS.GCFunction | undefined;
  setFlagsFromString('--no-expose-gc');
  for (let round = 0; round < rounds; round++) gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Gives the system what the C library holds of freed memory (malloc_trim(3)). Undefined without glibc or `node:ffi`. Never
 * rejects.
 */
export async function mallocTrim(): Promise<(() => void) | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    const { dlopen } = await import('node:ffi');
    const { functions: glibc } = dlopen(null, { malloc_trim: { arguments: ['uint64'], return: 'int32' } });
    return () => {
      glibc.malloc_trim(0n);
    };
  } catch {
    return undefined;
  }
}
