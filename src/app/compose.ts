import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { createActions } from '../format/actions.ts';
import type { Life } from '../lib/shutdown.ts';
import type { RouteOptions } from '../pipeline/pipeline.ts';
import type { Source } from '../source/source.ts';
import { FileStore } from '../state/file/checkpoint-files.ts';
import { DeadLetterFile } from '../state/file/dead-letter-files.ts';
import type { CheckpointStore } from '../state/store.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';
import { graceMsOf, openSinkOf, type SinkConfig, shapeOf } from './build-pipeline.ts';
import { openShared, type SharedParts } from './build-source.ts';
import type { World } from './context.ts';

export type { World } from './context.ts';

/** Everything between the configuration and the routes, wired by hand. */
export interface Composition extends AsyncDisposable {
  readonly source: Source;
  /** What `Route.open` takes, a sink each. */
  readonly routes: readonly RouteOptions[];
}

/** @throws {CheckpointProblem} before anything was asked or sent */
export async function compose(config: Config, world: World, life: Life): Promise<Composition> {
  const store = await openStore(config, world);
  const { readBefore } = await lookAtCheckpoints(config, store, world.observe);
  const shared: SharedParts = openShared(config, world, life, { readBefore });
  const { source } = shared;
  const graceMs = () => graceMsOf(config);
  const routes = config.sinks.map((sink) => routeOptions(sink, config, world, { source, store, graceMs }));
  return { source, routes, [Symbol.asyncDispose]: () => shared[Symbol.asyncDispose]() };
}

export function openStore(config: Config, { observe, now }: World): Promise<CheckpointStore> {
  const directory = join(config.state.directory, 'checkpoints');
  return FileStore.open({ directory, source: config.source.url, observe, now });
}

/** What the route of `sink` is made of. */
export function routeOptions(
  sink: SinkConfig,
  config: Config,
  world: World,
  parts: Pick<RouteOptions, 'source' | 'store' | 'graceMs'>,
): RouteOptions {
  const { observe, now, random, wake } = world;
  const { name } = sink;
  const shape = shapeOf(sink, config, world, createActions(config.actions));
  const { url: origin, settle, pageSize, startAt } = config.source;
  return {
    name,
    origin,
    settleMs: settle,
    pageSize,
    startAt,
    observe,
    now,
    random,
    wake,
    ...parts,
    ...shape,
    deadLetter: deadLetterOf(name, config, world),
    openSink: (journal) => openSinkOf(sink, shape, config, world, journal),
  };
}

export const deadLetterOf = (name: string, { state }: Config, { now }: World): DeadLetterFile =>
  new DeadLetterFile({ directory: join(state.directory, 'dead-letter'), name, now });

export interface OnDisk {
  /** One of the checkpoints is of this source: a page was read in an earlier start. */
  readonly readBefore: boolean;
  /** Sinks with a checkpoint. */
  readonly begun: ReadonlySet<string>;
}

/** Reads all of them before anything starts. @throws {CheckpointProblem} */
export async function lookAtCheckpoints(config: Config, store: CheckpointStore, observe: Observe): Promise<OnDisk> {
  const names = config.sinks.map(({ name }) => name);
  const loaded = await Promise.all(names.map((name) => store.load(name)));
  for (const sink of await store.list()) if (!names.includes(sink)) observe({ event: 'checkpoint.orphan', sink });
  const begun = new Set(names.filter((_, index) => loaded[index] !== undefined));
  return { readBefore: begun.size > 0, begun };
}
