/**
 * Preloaded into the built program (`node --import`): measures it, and with BENCH_LIFT takes away its own ceiling of
 * requests a second, which no configuration can. The rest of the program is as users run it.
 */
import { begin } from './meter.ts';

interface Paced {
  readonly Pace: { prototype: { turn(signals: unknown): Promise<((sentMs?: number) => void) | undefined> } };
}

const built = new URL('../../dist/source/pace.js', import.meta.url).href;
const { Pace } = (await import(built)) as Paced;
const { turn } = Pace.prototype;
const lifted = process.env['BENCH_LIFT'] === '1';

Pace.prototype.turn = function (signals) {
  begin();
  return lifted ? Promise.resolve(() => {}) : turn.call(this, signals);
};
