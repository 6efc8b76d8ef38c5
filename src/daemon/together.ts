import { type Life, within } from '../core/life.ts';
import { Route, type RouteOptions } from '../route/route.ts';
import { SinkGone } from '../route/sink-gone.ts';
import { SourceStop } from '../source/source.ts';

/** How one route ended. */
export type Ending =
  | { readonly sink: string; readonly kind: 'done' }
  /** Its destination is gone for good. */
  | { readonly sink: string; readonly kind: 'gone'; readonly detail: string }
  | { readonly sink: string; readonly kind: 'given-up' }
  /** The source gives nothing any more: this ends all routes. */
  | { readonly sink: string; readonly kind: 'source'; readonly error: SourceStop };

/**
 * Runs all routes side by side. What ends the source ends all of them, in good order; so does a bug.
 * @throws a bug, once every route has ended
 */
export async function together(
  routes: readonly RouteOptions[],
  life: Life,
  work: (route: Route, life: Life) => Promise<'done' | 'given-up'>,
  open: (options: RouteOptions, life: Life) => Promise<Route | 'given-up' | undefined> = Route.open,
): Promise<Ending[]> {
  const all = within(life);
  const endings = routes.map(async (options): Promise<Ending> => {
    const sink = options.name;
    try {
      const route = await open(options, all);
      if (route === undefined) return { sink, kind: 'done' };
      if (route === 'given-up') return { sink, kind: route };
      await using _ = route;
      return { sink, kind: await work(route, all) };
    } catch (error) {
      if (error instanceof SinkGone) return { sink, kind: 'gone', detail: error.message };
      all.end();
      if (error instanceof SourceStop) return { sink, kind: 'source', error };
      throw error;
    }
  });
  const results = await Promise.allSettled(endings);
  all.end();
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Whether all that was sent is confirmed and on disk. */
export function isWhole(route: Route): boolean {
  return route.lane.isIdle && route.isSaved;
}
