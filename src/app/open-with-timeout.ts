import { childScope, type ShutdownSignals, sleep } from '../lib/shutdown.ts';
import { Pipeline, type PipelineOptions } from '../pipeline/pipeline.ts';
import type { Source } from '../source/source.ts';
import type { Context } from './context.ts';

/**
 * Opens a route; given up where neither the search for its start nor the disk makes progress for `patienceMs`.
 * Undefined where `life` ends first. @throws as Route.open
 */
export async function openWithTimeout(
  options: PipelineOptions,
  signals: ShutdownSignals,
  patienceMs: number,
  { emit }: Pick<Context, 'emit'>,
): Promise<Pipeline | 'given-up' | undefined> {
  const { source, name } = options;
  let lastPageMs = performance.now();
  const noted = async <P>(page: Promise<P>): Promise<P> => {
    const came = await page;
    lastPageMs = performance.now();
    return came;
  };
  const watched: Source = {
    page: (after, notBeforeMs, own) => noted(source.page(after, notBeforeMs, own)),
    peek: (after, own) => noted(source.peek(after, own)),
    get trouble() {
      return source.trouble;
    },
  };
  const own = childScope(signals);
  const over = childScope(signals);
  let gaveUp = false;
  const watch = async () => {
    while (!over.graceful.aborted) {
      const idleMs = performance.now() - lastPageMs;
      if (idleMs >= patienceMs) {
        gaveUp = true;
        const detail = source.trouble ?? 'its start can be neither found nor saved';
        emit({ event: 'pipeline.gave_up', sink: name, waitingFor: 'source', detail, patienceMs: Math.round(idleMs) });
        return own.end();
      }
      await sleep(patienceMs - idleMs, over.graceful);
    }
  };
  const watching = watch();
  try {
    const route = await Pipeline.open({ ...options, source: watched }, own);
    if (!gaveUp) return route;
    await route?.[Symbol.asyncDispose]();
    return 'given-up';
  } finally {
    over.end();
    own.end();
    await watching;
  }
}
