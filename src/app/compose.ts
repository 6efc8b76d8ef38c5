import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { createActions } from '../format/actions.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { PipelineOptions } from '../pipeline/pipeline.ts';
import type { Source } from '../source/source.ts';
import { FileStore } from '../state/file/checkpoint-files.ts';
import { DeadLetterFile } from '../state/file/dead-letter-files.ts';
import type { CheckpointStore } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { graceMsOf, openSinkOf, type SinkConfig, shapeOf } from './build-pipeline.ts';
import { buildSource, type SourceParts } from './build-source.ts';
import type { Context } from './context.ts';

export type { Context } from './context.ts';

/** Everything between the configuration and the routes, wired by hand. */
export interface Composition extends AsyncDisposable {
  readonly source: Source;
  /** What `Route.open` takes, a sink each. */
  readonly pipelines: readonly PipelineOptions[];
}

/** @throws {CheckpointProblem} before anything was asked or sent */
export async function compose(config: Config, ctx: Context, signals: ShutdownSignals): Promise<Composition> {
  const store = await openStore(config, ctx);
  const { readBefore } = await lookAtCheckpoints(config, store, ctx.emit);
  const shared: SourceParts = buildSource(config, ctx, signals, { readBefore });
  const { source } = shared;
  const graceMs = () => graceMsOf(config);
  const pipelines = config.sinks.map((sink) => pipelineOptions(sink, config, ctx, { source, store, graceMs }));
  return { source, pipelines, [Symbol.asyncDispose]: () => shared[Symbol.asyncDispose]() };
}

export function openStore(config: Config, { emit, now }: Context): Promise<CheckpointStore> {
  const directory = join(config.state.directory, 'checkpoints');
  return FileStore.open({ directory, source: config.source.url, emit, now });
}

/** What the route of `sink` is made of. */
export function pipelineOptions(
  sink: SinkConfig,
  config: Config,
  ctx: Context,
  parts: Pick<PipelineOptions, 'source' | 'store' | 'graceMs'>,
): PipelineOptions {
  const { emit, now, random, wake } = ctx;
  const { name } = sink;
  const shape = shapeOf(sink, config, ctx, createActions(config.actions));
  const { url: origin, settle, pageSize, startAt } = config.source;
  return {
    name,
    origin,
    settleMs: settle,
    pageSize,
    startAt,
    emit,
    now,
    random,
    wake,
    ...parts,
    ...shape,
    deadLetter: deadLetterOf(name, config, ctx),
    openSink: (journal) => openSinkOf(sink, shape, config, ctx, journal),
  };
}

export const deadLetterOf = (name: string, { state }: Config, { now }: Context): DeadLetterFile =>
  new DeadLetterFile({ directory: join(state.directory, 'dead-letter'), name, now });

export interface OnDisk {
  /** One of the checkpoints is of this source: a page was read in an earlier start. */
  readonly readBefore: boolean;
  /** Sinks with a checkpoint. */
  readonly begun: ReadonlySet<string>;
}

/** Reads all of them before anything starts. @throws {CheckpointProblem} */
export async function lookAtCheckpoints(config: Config, store: CheckpointStore, emit: Emit): Promise<OnDisk> {
  const names = config.sinks.map(({ name }) => name);
  const loaded = await Promise.all(names.map((name) => store.load(name)));
  for (const sink of await store.list()) if (!names.includes(sink)) emit({ event: 'checkpoint.orphan', sink });
  const begun = new Set(names.filter((_, index) => loaded[index] !== undefined));
  return { readBefore: begun.size > 0, begun };
}
