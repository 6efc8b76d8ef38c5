import type { Config } from '../config/schema.ts';
import { RateLimiter } from '../source/rate-limiter.ts';
import { holderOf } from '../state/file/lock.ts';

/** Requests a second beside a daemon, which shares the key's allowance (contract section 2). */
export const besidePerSecond = 5;

/** How fast a command may ask: as configured, or slowly while a daemon holds the state directory. */
export interface CommandRateLimit {
  /** Who holds the state directory, in words, as of the start. */
  readonly holder: string | undefined;
  readonly pace: RateLimiter;
  /** Before each page: a daemon may have been started meanwhile, or have ended. */
  turn(): Promise<void>;
}

/** @throws {StateProblem} */
export async function commandRateLimit({ source, state }: Config): Promise<CommandRateLimit> {
  const holder = await holderOf(state.directory);
  const allowed = (held: string | undefined) =>
    held === undefined ? source.requestsPerSecond : Math.min(besidePerSecond, source.requestsPerSecond);
  const pace = new RateLimiter(allowed(holder), () => performance.now());
  return {
    holder,
    pace,
    async turn() {
      pace.allow(allowed(await holderOf(state.directory)));
    },
  };
}
