import type { Config } from '../config/schema.ts';
import { type Life, sleep, within } from '../lib/shutdown.ts';
import type { Route } from '../pipeline/pipeline.ts';
import { compose, type World } from './compose.ts';
import { openPatiently } from './open-with-timeout.ts';
import { type Ending, isWhole, together } from './run-all.ts';

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
export async function once(config: Config, world: World, life: Life, { patienceMs }: OnceOptions): Promise<Ending[]> {
  const scope = within(life);
  await using composed = await compose(config, world, scope);
  using _ = { [Symbol.dispose]: scope.end };
  const startMs = performance.now();
  const behind: string[] = [];
  const endings = await together(
    composed.routes,
    scope,
    async (route, inner) => {
      const ending = await patiently(route, inner, patienceMs, startMs, composed.source, world);
      if (!isWhole(route)) behind.push(route.name);
      return ending;
    },
    (options, inner) => openPatiently(options, inner, patienceMs, world),
  );
  if (life.stop.aborted) world.observe({ event: 'daemon.stopped', behind });
  return endings;
}

/** Catches `route` up; it is given up after `patienceMs` without progress, or where its sink parks. */
export async function patiently(
  route: Route,
  life: Life,
  patienceMs: number,
  startMs: number,
  source: { readonly trouble: string | undefined },
  world: World,
): Promise<'done' | 'given-up'> {
  const stop = new AbortController();
  const kill = new AbortController();
  const own: Life = {
    stop: AbortSignal.any([life.stop, stop.signal]),
    kill: AbortSignal.any([life.kill, kill.signal]),
  };
  let gaveUp = false;
  const watch = async () => {
    while (!own.stop.aborted) {
      const { parked } = route.lane;
      const idleMs = performance.now() - Math.max(startMs, route.lastProgressMs);
      if (parked !== undefined || idleMs >= patienceMs) {
        gaveUp = true;
        const detail = parked?.detail ?? route.trouble ?? source.trouble ?? 'no answer';
        const waitingFor = parked !== undefined || route.awaitsSink ? 'sink' : 'source';
        world.observe({ event: 'route.gave_up', sink: route.name, waitingFor, detail, patienceMs: Math.round(idleMs) });
        stop.abort();
        await sleep(graceMs, own.kill);
        kill.abort();
        return;
      }
      await sleep(Math.min(500, Math.max(10, patienceMs - idleMs)), own.stop);
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
  if (!gaveUp && !life.stop.aborted) world.observe({ event: 'route.done', sink: route.name, after: route.head });
  return gaveUp ? 'given-up' : 'done';
}
