const lookMs = 100;

/** Counts checks and prints one line for each. */
export class Checks {
  passed = 0;
  failed = 0;

  /** Runs one check. A throw counts as its failure; later checks still run. */
  async check(title: string, work: () => Promise<unknown>): Promise<void> {
    const startMs = performance.now();
    try {
      await work();
      this.passed += 1;
      console.log(`ok    ${title} (${seconds(startMs)})`);
    } catch (error) {
      this.failed += 1;
      console.log(`FAIL  ${title} (${seconds(startMs)}): ${(error as Error).message}`);
    }
  }
}

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

/** @throws if the condition is false */
export function holds(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

/** Polls until `look` returns something other than undefined or false. @throws after `timeoutMs`, with the text of `otherwise` */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  otherwise: () => Promise<string> | string,
  timeoutMs = 20_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs / 1000} s: ${await otherwise()}`);
    await pause(lookMs);
  }
}

/** For what must not happen within a time; never in place of something to wait for. */
export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
