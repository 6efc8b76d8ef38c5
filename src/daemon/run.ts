import type { Config } from '../config/schema.ts';
import { type Life, within } from '../core/life.ts';
import type { Route } from '../route/route.ts';
import { compose, type World } from './compose.ts';
import { besideFeed } from './feeds.ts';
import { CronTicks } from './ticks.ts';
import { type Ending, together } from './together.ts';

/** Polls and delivers until `life.stop`; gives how each route ended and which of them were behind. */
export async function run(config: Config, world: World, life: Life): Promise<{ endings: Ending[]; behind: string[] }> {
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
  return { endings, behind };
}

function isWhole(route: Route): boolean {
  return route.lane.isIdle && route.isSaved;
}
