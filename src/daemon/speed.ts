import type { Config } from '../config/schema.ts';
import type { Life } from '../core/life.ts';
import { Pace } from '../source/pace.ts';
import { holderOf } from './lock.ts';

/** Requests a second beside a daemon, which shares the key's allowance (contract section 2). */
export const besidePerSecond = 5;

/** How fast a command may ask: as configured, or slowly while a daemon holds the state directory. */
export interface Speed {
  /** Who holds the state directory, in words, as of the start. */
  readonly holder: string | undefined;
  readonly pace: Pace;
  /** Waits for leave to ask for a page: a daemon may have been started meanwhile. */
  turn(life: Life): Promise<void>;
}

/** @throws {StateProblem} */
export async function speedOf({ source, state }: Config): Promise<Speed> {
  const now = () => performance.now();
  const holder = await holderOf(state.directory);
  const slow = new Pace(Math.min(besidePerSecond, source.requestsPerSecond), now);
  if (holder !== undefined) return { holder, pace: slow, turn: async () => {} };
  return {
    holder,
    pace: new Pace(source.requestsPerSecond, now),
    async turn(life) {
      if ((await holderOf(state.directory)) === undefined) return;
      const sent = await slow.turn(life);
      sent?.();
    },
  };
}
