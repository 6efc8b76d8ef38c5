import { tenantIdentity } from '../app/open-state.ts';
import type { Config } from '../config/schema.ts';
import { RateLimiter } from '../source/rate-limiter.ts';
import type { StateBackend } from '../state/store.ts';

/** Requests a second while a daemon runs, since both use one key (contract section 2). */
export const besidePerSecond = 5;

/** How fast a command may send requests: as configured, or slowly while a daemon runs. */
export interface CommandRateLimit {
  /** Who owned the state at the start, in words. */
  readonly owner: string | undefined;
  readonly rateLimiter: RateLimiter;
  /** To be called before each page: a daemon may have started or stopped meanwhile. */
  turn(): Promise<void>;
}

/** @throws {StateProblem} */
export async function commandRateLimit(config: Config, backend: StateBackend): Promise<CommandRateLimit> {
  const { source } = config;
  const tenant = tenantIdentity(config);
  const owner = await backend.owner(tenant);
  const allowed = (current: string | undefined) =>
    current === undefined ? source.requestsPerSecond : Math.min(besidePerSecond, source.requestsPerSecond);
  const rateLimiter = new RateLimiter(allowed(owner), () => performance.now());
  return {
    owner,
    rateLimiter,
    async turn() {
      rateLimiter.setRate(allowed(await backend.owner(tenant)));
    },
  };
}
