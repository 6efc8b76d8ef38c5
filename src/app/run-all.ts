import { type Life, within } from '../lib/shutdown.ts';
import { Route, type RouteOptions } from '../pipeline/pipeline.ts';
import { SinkGone } from '../pipeline/sink-gone.ts';
import { SourceStop } from '../source/source.ts';

/** How one route ended. */
export type Ending =
  | { readonly sink: string; readonly kind: 'done' }
  /** Its destination is gone for good. */
  | { readonly sink: string; readonly kind: 'gone'; readonly detail: string }
  | { readonly sink: string; readonly kind: 'given-up' }
  /** The source gives nothing any more: this ends all routes. */
  | { readonly sink: string; readonly kind: 'source'; readonly error: SourceStop };

export type Work = (route: Route, life: Life) => Promise<'done' | 'given-up'>;
export type Open = (options: RouteOptions, life: Life) => Promise<Route | 'given-up' | undefined>;

/**
 * Runs all routes side by side. What ends the source ends all of them, in good order; so does a bug.
 * @throws a bug, once every route has ended
 */
export async function together(
  routes: readonly RouteOptions[],
  life: Life,
  work: Work,
  open: Open = Route.open,
): Promise<Ending[]> {
  const all = within(life);
  const results = await Promise.allSettled(routes.map((options) => runRoute(options, all, all.end, work, open)));
  all.end();
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Opens a route, works with it and closes it. `endAll` is called where no other one can go on either. @throws a bug */
export async function runRoute(
  options: RouteOptions,
  life: Life,
  endAll: () => void,
  work: Work,
  open: Open = Route.open,
): Promise<Ending> {
  const sink = options.name;
  try {
    const route = await open(options, life);
    if (route === undefined) return { sink, kind: 'done' };
    if (route === 'given-up') return { sink, kind: route };
    await using _ = route;
    return { sink, kind: await work(route, life) };
  } catch (error) {
    if (error instanceof SinkGone) return { sink, kind: 'gone', detail: error.message };
    endAll();
    if (error instanceof SourceStop) return { sink, kind: 'source', error };
    throw error;
  }
}

/** Whether all that was sent is confirmed and on disk. */
export function isWhole(route: Route): boolean {
  return route.lane.isIdle && route.isSaved;
}
