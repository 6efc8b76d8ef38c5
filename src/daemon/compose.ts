import { join } from 'node:path';
import { DeadLetterFile } from '../checkpoint/dead-letter-files.ts';
import { FileStore } from '../checkpoint/files.ts';
import type { CheckpointStore } from '../checkpoint/store.ts';
import type { Config } from '../config/schema.ts';
import type { Observe } from '../core/happening.ts';
import type { Life } from '../core/life.ts';
import type { Notifier } from '../core/notifier.ts';
import { actionFilter } from '../format/filter.ts';
import { createFormat } from '../format/formats.ts';
import { redactor } from '../format/redact.ts';
import { httpClient } from '../net/http.ts';
import { tlsMaterial } from '../net/tls.ts';
import type { RouteOptions } from '../route/route.ts';
import { openSink } from '../sink/registry.ts';
import { AuditApi } from '../source/audit-api.ts';
import { Pace } from '../source/pace.ts';
import { largestBodyBytes } from '../source/page-size.ts';
import { SharedSource } from '../source/shared.ts';

/** What the parts get from the world around them. */
export interface World {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly observe: Observe;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** A SIGHUP: whoever waits tries now. */
  readonly wake: Notifier;
}

/** Pages kept for routes that are a little behind the first. */
const pagesKept = 4;

/** Everything between the configuration and the routes, wired by hand. */
export interface Composition extends AsyncDisposable {
  readonly source: SharedSource;
  readonly store: CheckpointStore;
  /** What `Route.open` takes, a sink each. */
  readonly routes: readonly RouteOptions[];
}

/** @throws {CheckpointProblem} before anything was asked or sent */
export async function compose(config: Config, world: World, life: Life): Promise<Composition> {
  const { observe, now, random, wake, version, env } = world;
  const origin = config.source.url;
  const tenant = new URL(origin).hostname;
  const state = config.state.directory;
  const store = await FileStore.open({ directory: join(state, 'checkpoints'), source: origin, observe, now });
  const readBefore = await lookAtCheckpoints(config, store, observe);

  const http = httpClient({
    timeoutMs: config.source.timeout,
    maxBodyBytes: largestBodyBytes,
    userAgent: `qasphere-siem-forwarder/${version}`,
    tls: tlsMaterial(config.source.tls),
    proxy: config.source.proxy,
    env,
  });
  const { apiKey, authScheme, pageSize, requestsPerSecond, onKeyRejected, settle, startAt } = config.source;
  const pace = new Pace(requestsPerSecond, () => performance.now());
  const api = new AuditApi({ origin, apiKey, authScheme, pageSize, http, pace, observe, now, readBefore });
  const keepPages = config.sinks.length > 1 ? pagesKept : 0;
  const source = new SharedSource({ api, onKeyRejected, observe, random, wake, keepPages, life });

  const routes = config.sinks.map((sink): RouteOptions => {
    const { name, envelope, filter, redact } = sink;
    const format = createFormat(sink.format, { envelope }, { tenant, version });
    return {
      name,
      origin,
      source,
      store,
      settleMs: settle,
      pageSize,
      startAt,
      observe,
      random,
      wake,
      graceMs: config.shutdownTimeout * 0.75,
      format,
      wants: actionFilter(filter ?? {}),
      redact: redactor(redact ?? []),
      deadLetter: new DeadLetterFile({ directory: join(state, 'dead-letter'), name, now }),
      openSink: (journal) => openSink(sink, { name, tenant, version, format, observe, now, random, env, journal }),
    };
  });
  return {
    source,
    store,
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
