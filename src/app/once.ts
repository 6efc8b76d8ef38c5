import type { Config } from '../config/schema.ts';
import { childScope, type ShutdownSignals, sleep } from '../lib/shutdown.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import { type Context, compose } from './compose.ts';
import { openWithTimeout } from './open-with-timeout.ts';
import { isWhole, type PipelineOutcome, runAll } from './run-all.ts';

export interface OnceOptions {
  /** How long a source or sink may go without progress, milliseconds. */
  readonly patienceMs: number;
}

/** A sink that does not end when it is told to is dropped after this, milliseconds. */
const graceMs = 2_000;

/**
 * Catches every sink up with the newest event; what makes no progress is given up while the others finish. Stopped
 * before that, it says which sinks have something unconfirmed.
 */
export async function once(
  config: Config,
  ctx: Context,
  signals: ShutdownSignals,
  { patienceMs }: OnceOptions,
): Promise<PipelineOutcome[]> {
  const scope = childScope(signals);
  await using composed = await compose(config, ctx, scope);
  using _ = { [Symbol.dispose]: scope.end };
  const startMs = performance.now();
  const pending: string[] = [];
  const endings = await runAll(
    composed.pipelines,
    scope,
    async (route, inner) => {
      const ending = await patiently(route, inner, patienceMs, startMs, composed.source, ctx);
      if (!isWhole(route)) pending.push(route.name);
      return ending;
    },
    (options, inner) => openWithTimeout(options, inner, patienceMs, ctx),
  );
  if (signals.graceful.aborted) ctx.emit({ event: 'daemon.stopped', pending });
  return endings;
}

/** Catches `route` up; it is given up after `patienceMs` without progress, or where its sink parks. */
export async function patiently(
  route: Pipeline,
  signals: ShutdownSignals,
  patienceMs: number,
  startMs: number,
  source: { readonly trouble: string | undefined },
  ctx: Context,
): Promise<'done' | 'given-up'> {
  const stop = new AbortController();
  const kill = new AbortController();
  const own: ShutdownSignals = {
    graceful: AbortSignal.any([signals.graceful, stop.signal]),
    forced: AbortSignal.any([signals.forced, kill.signal]),
  };
  let gaveUp = false;
  const watch = async () => {
    while (!own.graceful.aborted) {
      const { parked } = route.lane;
      const idleMs = performance.now() - Math.max(startMs, route.lastProgressMs);
      if (parked !== undefined || idleMs >= patienceMs) {
        gaveUp = true;
        const detail = parked?.detail ?? route.trouble ?? source.trouble ?? 'no answer';
        const waitingFor = parked !== undefined || route.awaitsSink ? 'sink' : 'source';
        ctx.emit({ event: 'pipeline.gave_up', sink: route.name, waitingFor, detail, patienceMs: Math.round(idleMs) });
        stop.abort();
        await sleep(graceMs, own.forced);
        kill.abort();
        return;
      }
      await sleep(Math.min(500, Math.max(10, patienceMs - idleMs)), own.graceful);
    }
  };
  const watching = watch();
  try {
    await route.once(startMs, own);
  } finally {
    stop.abort();
    kill.abort();
    await watching;
  }
  if (!gaveUp && !signals.graceful.aborted) ctx.emit({ event: 'pipeline.done', sink: route.name, after: route.head });
  return gaveUp ? 'given-up' : 'done';
}
