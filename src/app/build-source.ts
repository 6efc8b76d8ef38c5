import type { Config } from '../config/schema.ts';
import type { AuditEvent } from '../event/event.ts';
import { createActions } from '../format/actions.ts';
import type { Life } from '../lib/shutdown.ts';
import { Restriction } from '../source/key-scope.ts';
import { SharedSource } from '../source/page-cache.ts';
import { Pace } from '../source/rate-limiter.ts';
import type { Novelty } from '../source/seen-ids.ts';
import { openApi, openHttp } from './build-pipeline.ts';
import type { World } from './context.ts';
import { Drift } from './schema-drift.ts';

/** Pages kept for routes that are a little behind the first. */
const pagesKept = 4;

/** The one source of all routes, with what it stands on. */
export interface SharedParts extends AsyncDisposable {
  readonly source: SharedSource;
  readonly pace: Pace;
  readonly restriction: Restriction;
}

/** What was learnt before, and holds for a source that takes the place of another. */
export interface Before {
  /** A page of this origin was read. */
  readonly readBefore: boolean;
  /** The limit of requests holds across. */
  readonly pace?: Pace | undefined;
  readonly novelty?: Novelty | undefined;
  /** This very key was looked at. */
  readonly keyKnown?: boolean;
}

/** Nothing is asked yet; it ends with `life`. @throws OpenSSL's error */
export function openShared(config: Config, world: World, life: Life, before: Before): SharedParts {
  const { observe, random, wake } = world;
  const { readBefore, novelty, keyKnown } = before;
  const { url: origin, apiKey, authScheme, requestsPerSecond, onKeyRejected, restrictedKey } = config.source;
  const http = openHttp(config, world);
  const pace = new Pace(requestsPerSecond, () => performance.now(), before.pace);
  const actions = createActions(config.actions);
  const { drift = new Drift() } = world;
  const onFresh = (events: readonly AuditEvent[]) => drift.of(events, actions, apiKey.current).forEach(observe);
  const api = openApi(config, world, { http, pace, observe, readBefore, onFresh, novelty });
  const policy = keyKnown ? 'off' : restrictedKey;
  const restriction = new Restriction({ origin, apiKey, authScheme, http, pace, observe, policy });
  const keepPages = config.sinks.length > 1 ? pagesKept : 0;
  const source = new SharedSource({ api, onKeyRejected, observe, random, wake, restriction, keepPages, life });
  return {
    source,
    pace,
    restriction,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}
