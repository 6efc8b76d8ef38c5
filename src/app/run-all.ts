import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import { Pipeline, type PipelineOptions } from '../pipeline/pipeline.ts';
import { SinkGone } from '../pipeline/sink-gone.ts';
import { SourceStop } from '../source/source.ts';

/** How one route ended. */
export type PipelineOutcome =
  | { readonly sink: string; readonly kind: 'done' }
  /** Its destination is gone for good. */
  | { readonly sink: string; readonly kind: 'gone'; readonly detail: string }
  | { readonly sink: string; readonly kind: 'given-up' }
  /** The source gives nothing any more: this ends all routes. */
  | { readonly sink: string; readonly kind: 'source'; readonly error: SourceStop };

export type Work = (route: Pipeline, signals: ShutdownSignals) => Promise<'done' | 'given-up'>;
export type Open = (options: PipelineOptions, signals: ShutdownSignals) => Promise<Pipeline | 'given-up' | undefined>;

/**
 * Runs all routes side by side. What ends the source ends all of them, in good order; so does a bug.
 * @throws a bug, once every route has ended
 */
export async function runAll(
  routes: readonly PipelineOptions[],
  signals: ShutdownSignals,
  work: Work,
  open: Open = Pipeline.open,
): Promise<PipelineOutcome[]> {
  const all = childScope(signals);
  const results = await Promise.allSettled(routes.map((options) => runPipeline(options, all, all.end, work, open)));
  all.end();
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Opens a route, works with it and closes it. `endAll` is called where no other one can go on either. @throws a bug */
export async function runPipeline(
  options: PipelineOptions,
  signals: ShutdownSignals,
  endAll: () => void,
  work: Work,
  open: Open = Pipeline.open,
): Promise<PipelineOutcome> {
  const sink = options.name;
  try {
    const route = await open(options, signals);
    if (route === undefined) return { sink, kind: 'done' };
    if (route === 'given-up') return { sink, kind: route };
    await using _ = route;
    return { sink, kind: await work(route, signals) };
  } catch (error) {
    if (error instanceof SinkGone) return { sink, kind: 'gone', detail: error.message };
    endAll();
    if (error instanceof SourceStop) return { sink, kind: 'source', error };
    throw error;
  }
}

/** Whether all that was sent is confirmed and on disk. */
export function isWhole(route: Pipeline): boolean {
  return route.lane.isIdle && route.isSaved;
}
