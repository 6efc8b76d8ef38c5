import type { Config } from '../config/schema.ts';
import { childScope, type ShutdownSignals, sleep } from '../lib/shutdown.ts';
import { Pipeline, type PipelineOptions } from '../pipeline/pipeline.ts';
import type { Source } from '../source/source.ts';
import type { StateStore } from '../state/store.ts';
import { pipelineOptions } from './build-pipeline.ts';
import type { Context } from './context.ts';
import { type PipelineOutcome, PipelineSupervisor } from './pipeline-supervisor.ts';
import { ReloadableSource } from './reloadable-source.ts';
import { SealSenders, sealTargets } from './seal-senders.ts';
import { loadCheckpoints } from './tenant.ts';

export interface Patience {
  /** How long a source or sink may go without progress, milliseconds. */
  readonly patienceMs: number;
}

interface CatchUpOptions extends Patience {
  /** Called when a pipeline has ended. */
  onEnd(pipeline: Pipeline): unknown;
  /** Does `work` of a pipeline, and something beside it. */
  readonly around?: <T>(pipeline: Pipeline, signals: ShutdownSignals, work: () => Promise<T>) => Promise<T>;
}

/** A sink that does not end when it is given up is dropped after this, milliseconds. */
const graceMs = 2_000;

/**
 * Catches every sink of one tenant up with the newest event. A source or sink without progress is given up while the
 * others finish. If it is stopped before, it reports the sinks with something unconfirmed.
 * @throws {CheckpointProblem} before anything is requested or sent @throws a bug
 */
export async function catchUpTenant(
  config: Config,
  store: StateStore,
  ctx: Context,
  signals: ShutdownSignals,
  patience: Patience,
): Promise<readonly PipelineOutcome[]> {
  const scope = childScope(signals);
  const begun = await loadCheckpoints(config, store, ctx);
  await using source = new ReloadableSource(config, ctx, scope, begun.size > 0);
  using _ = { [Symbol.dispose]: scope.end };
  const parts = { source, store, shutdownTimeoutMs: () => config.shutdownTimeout };
  const pending: string[] = [];
  const senders = new SealSenders(ctx);
  const outcomes = await catchUp(
    config.sinks.map((sink) => pipelineOptions(sink, config, ctx, parts)),
    ctx,
    scope,
    {
      ...patience,
      onEnd: (pipeline) => !pipeline.isComplete && pending.push(pipeline.name),
      around: (pipeline, inner, work) => senders.run(pipeline, sealTargets(config, pipeline.name), inner, work),
    },
  );
  if (signals.graceful.aborted) ctx.emit({ event: 'daemon.stopped', pending });
  return outcomes;
}

/** Runs each pipeline once, side by side. @throws a bug */
export function catchUp(
  pipelines: readonly PipelineOptions[],
  ctx: Context,
  signals: ShutdownSignals,
  { patienceMs, onEnd, around = (_, __, work) => work() }: CatchUpOptions,
): Promise<readonly PipelineOutcome[]> {
  const startMs = performance.now();
  const supervisor = new PipelineSupervisor(signals, pipelines[0]?.graceMs ?? (() => 0), {
    open: (options, inner) => openWithPatience(options, inner, patienceMs),
    async run(pipeline, inner) {
      const source = pipelines.find(({ name }) => name === pipeline.name)?.source;
      try {
        return await around(pipeline, inner, () =>
          runWithPatience(pipeline, source, ctx, inner, { patienceMs, startMs }),
        );
      } finally {
        onEnd(pipeline);
      }
    },
  });
  supervisor.start(pipelines);
  return supervisor.ended;
}

/**
 * Opens a pipeline; fails if neither the search for its start nor the disk makes progress for `patienceMs`. Undefined
 * if `signals` fire first. @throws as Pipeline.open
 */
async function openWithPatience(
  options: PipelineOptions,
  signals: ShutdownSignals,
  patienceMs: number,
): Promise<Pipeline | 'given-up' | undefined> {
  const { source, name: sink, emit } = options;
  let lastPageMs = performance.now();
  const observed = async <P>(page: Promise<P>): Promise<P> => {
    const answer = await page;
    lastPageMs = performance.now();
    return answer;
  };
  const observedSource: Source = {
    page: (after, notBeforeMs, own) => observed(source.page(after, notBeforeMs, own)),
    peek: (after, own) => observed(source.peek(after, own)),
    get lastError() {
      return source.lastError;
    },
  };
  const own = childScope(signals);
  const watch = childScope(signals);
  let gaveUp = false;
  const watching = untilIdle(() => lastPageMs, patienceMs, watch.graceful).then((idleMs) => {
    if (idleMs === undefined) return;
    gaveUp = true;
    const detail = source.lastError ?? 'its start can be neither found nor saved';
    emit({ event: 'pipeline.gave_up', sink, waitingFor: 'source', detail, patienceMs: idleMs });
    own.end();
  });
  try {
    const pipeline = await Pipeline.open({ ...options, source: observedSource }, own);
    if (!gaveUp) return pipeline;
    await pipeline?.[Symbol.asyncDispose]();
    return 'given-up';
  } finally {
    watch.end();
    own.end();
    await watching;
  }
}

/** Catches `pipeline` up; stops after `patienceMs` without progress, or when its sink parks. */
async function runWithPatience(
  pipeline: Pipeline,
  source: Source | undefined,
  { emit }: Context,
  signals: ShutdownSignals,
  { patienceMs, startMs }: Patience & { readonly startMs: number },
): Promise<'done' | 'given-up'> {
  const stop = new AbortController();
  const kill = new AbortController();
  const own: ShutdownSignals = {
    graceful: AbortSignal.any([signals.graceful, stop.signal]),
    forced: AbortSignal.any([signals.forced, kill.signal]),
  };
  let gaveUp = false;
  const lastProgressMs = () =>
    pipeline.parked === undefined ? Math.max(startMs, pipeline.lastProgressMs) : Number.NEGATIVE_INFINITY;
  const watching = untilIdle(lastProgressMs, patienceMs, own.graceful).then(async () => {
    if (own.graceful.aborted) return;
    gaveUp = true;
    const { parked } = pipeline;
    const idleMs = performance.now() - Math.max(startMs, pipeline.lastProgressMs);
    emit({
      event: 'pipeline.gave_up',
      sink: pipeline.name,
      waitingFor: parked !== undefined || pipeline.awaitsSink ? 'sink' : 'source',
      detail: parked?.detail ?? pipeline.lastError ?? source?.lastError ?? 'no answer',
      patienceMs: Math.round(idleMs),
    });
    stop.abort();
    await sleep(graceMs, own.forced);
    kill.abort();
  });
  try {
    await pipeline.once(startMs, own);
  } finally {
    stop.abort();
    kill.abort();
    await watching;
  }
  if (!gaveUp && !signals.graceful.aborted) emit({ event: 'pipeline.done', sink: pipeline.name, after: pipeline.head });
  return gaveUp ? 'given-up' : 'done';
}

/** How long there was no progress, milliseconds, once that is `patienceMs`; undefined when `stop` fires before. */
async function untilIdle(
  lastProgressMs: () => number,
  patienceMs: number,
  stop: AbortSignal,
): Promise<number | undefined> {
  while (!stop.aborted) {
    const idleMs = performance.now() - lastProgressMs();
    if (idleMs >= patienceMs) return Math.round(idleMs);
    await sleep(Math.min(500, Math.max(10, patienceMs - idleMs)), stop);
  }
  return undefined;
}
