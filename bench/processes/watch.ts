/**
 * Preloaded into the built program (`node --import`): measures it, and with BENCH_LIFT takes away its own ceiling of
 * requests a second, which no configuration can. The rest of the program is as users run it.
 */
import { begin } from './meter.ts';

interface RateLimiterModule {
  readonly RateLimiter: { prototype: { turn(signals: unknown): Promise<((sentMs?: number) => void) | undefined> } };
}

const built = new URL('../program/source/rate-limiter.js', import.meta.url).href;
const { RateLimiter } = (await import(built)) as RateLimiterModule;
const { turn } = RateLimiter.prototype;
const lifted = process.env['BENCH_LIFT'] === '1';

RateLimiter.prototype.turn = function (signals) {
  begin();
  return lifted ? Promise.resolve(() => {}) : turn.call(this, signals);
};
