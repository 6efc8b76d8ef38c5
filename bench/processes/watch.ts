/**
 * Preloaded into the built program (`node --import`): measures it, and with BENCH_LIFT takes away its own limit of
 * requests a second, which no configuration can. The rest of the program is as users run it.
 */
import { begin } from './meter.ts';

interface RateLimiterModule {
  readonly RateLimiter: { prototype: { acquire(signals: unknown): Promise<((sentMs?: number) => void) | undefined> } };
}

const built = new URL('../program/source/rate-limiter.js', import.meta.url).href;
const { RateLimiter } = (await import(built)) as RateLimiterModule;
const { acquire } = RateLimiter.prototype;
const lifted = process.env['BENCH_LIFT'] === '1';

RateLimiter.prototype.acquire = function (signals) {
  begin();
  return lifted ? Promise.resolve(() => {}) : acquire.call(this, signals);
};
