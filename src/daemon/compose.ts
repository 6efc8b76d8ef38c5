import { join } from 'node:path';
import { DeadLetterFile } from '../checkpoint/dead-letter-files.ts';
import { FileStore } from '../checkpoint/files.ts';
import type { CheckpointStore } from '../checkpoint/store.ts';
import type { Config } from '../config/schema.ts';
import type { AuditEvent } from '../core/event.ts';
import type { Observe } from '../core/happening.ts';
import type { Life } from '../core/life.ts';
import { createActions } from '../format/actions.ts';
import type { RouteOptions } from '../route/route.ts';
import { Pace } from '../source/pace.ts';
import { Restriction } from '../source/restriction.ts';
import { SharedSource } from '../source/shared.ts';
import { Drift } from './drift.ts';
import { graceMsOf, openApi, openHttp, openSinkOf, shapeOf } from './parts.ts';
import type { World } from './world.ts';

export type { World } from './world.ts';

/** Pages kept for routes that are a little behind the first. */
const pagesKept = 4;

/** Everything between the configuration and the routes, wired by hand. */
export interface Composition extends AsyncDisposable {
  readonly source: SharedSource;
  readonly store: CheckpointStore;
  readonly pace: Pace;
  /** What `Route.open` takes, a sink each. */
  readonly routes: readonly RouteOptions[];
}

/** @throws {CheckpointProblem} before anything was asked or sent */
export async function compose(config: Config, world: World, life: Life): Promise<Composition> {
  const { observe, now, random, wake } = world;
  const origin = config.source.url;
  const state = config.state.directory;
  const store = await FileStore.open({ directory: join(state, 'checkpoints'), source: origin, observe, now });
  const readBefore = await lookAtCheckpoints(config, store, observe);

  const http = openHttp(config, world);
  const { apiKey, authScheme, pageSize, requestsPerSecond, onKeyRejected, settle, startAt, restrictedKey } =
    config.source;
  const pace = new Pace(requestsPerSecond, () => performance.now(), world.paceBefore);
  const actions = createActions(config.actions);
  const { drift = new Drift() } = world;
  const onFresh = (events: readonly AuditEvent[]) => drift.of(events, actions, apiKey.current).forEach(observe);
  const api = openApi(config, world, { http, pace, observe, readBefore, onFresh });
  const policy = world.restrictionKnown ? 'off' : restrictedKey;
  const restriction = new Restriction({ origin, apiKey, authScheme, http, pace, observe, policy });
  const keepPages = config.sinks.length > 1 ? pagesKept : 0;
  const source = new SharedSource({ api, onKeyRejected, observe, random, wake, restriction, keepPages, life });

  const routes = config.sinks.map((sink): RouteOptions => {
    const { name } = sink;
    const shape = shapeOf(sink, config, world, actions);
    return {
      name,
      origin,
      source,
      store,
      settleMs: settle,
      pageSize,
      startAt,
      observe,
      now,
      random,
      wake,
      graceMs: graceMsOf(config),
      ...shape,
      deadLetter: new DeadLetterFile({ directory: join(state, 'dead-letter'), name, now }),
      openSink: (journal) => openSinkOf(sink, shape, config, world, journal),
    };
  });
  return {
    source,
    store,
    pace,
    routes,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}

/** Reads all of them before anything starts; true where one is of this source. */
async function lookAtCheckpoints(config: Config, store: CheckpointStore, observe: Observe): Promise<boolean> {
  const loaded = await Promise.all(config.sinks.map(({ name }) => store.load(name)));
  const configured = new Set(config.sinks.map(({ name }) => name));
  for (const sink of await store.list()) if (!configured.has(sink)) observe({ event: 'checkpoint.orphan', sink });
  return loaded.some((checkpoint) => checkpoint !== undefined);
}
