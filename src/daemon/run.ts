import type { Config } from '../config/schema.ts';
import { type Life, within } from '../core/life.ts';
import type { Pace } from '../source/pace.ts';
import { compose, type World } from './compose.ts';
import { besideFeed } from './feeds.ts';
import { CronTicks } from './ticks.ts';
import { type Ending, isWhole, together } from './together.ts';

export interface Ended {
  readonly endings: Ending[];
  /** Sinks that did not get all that was on its way to them. */
  readonly behind: string[];
  readonly pace: Pace;
}

/** Polls and delivers until `life.stop`; gives how each route ended. */
export async function run(config: Config, world: World, life: Life): Promise<Ended> {
  const scope = within(life);
  await using ticks = new CronTicks(config.source.schedule);
  await using composed = await compose(config, world, scope);
  // Comes first of the three: what the source still waits for is let go.
  using _ = { [Symbol.dispose]: scope.end };
  const behind: string[] = [];
  const endings = await together(composed.routes, scope, async (route, inner) => {
    await besideFeed(route, inner, world, () => route.run(ticks, inner));
    if (!isWhole(route)) behind.push(route.name);
    return 'done';
  });
  return { endings, behind, pace: composed.pace };
}
