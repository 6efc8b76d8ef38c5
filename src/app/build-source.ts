import type { Config } from '../config/schema.ts';
import { createActions } from '../format/actions.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { AuditApiOptions } from '../source/audit-api.ts';
import { KeyScopeCheck } from '../source/key-scope.ts';
import { CachedSource } from '../source/page-cache.ts';
import { RateLimiter } from '../source/rate-limiter.ts';
import { SchemaDrift } from '../source/schema-drift.ts';
import type { SeenIds } from '../source/seen-ids.ts';
import { openApi, openHttp } from './build-pipeline.ts';
import type { Context } from './context.ts';

/** Pages kept for routes that are a little behind the first. */
const pagesKept = 4;

/** The one source of all routes, with what it stands on. */
export interface SourceParts extends AsyncDisposable {
  readonly source: CachedSource;
  readonly pace: RateLimiter;
  readonly restriction: KeyScopeCheck;
}

/** What was learnt before, and holds for a source that takes the place of another. */
export interface Before {
  /** A page of this origin was read. */
  readonly readBefore: boolean;
  /** The limit of requests holds across. */
  readonly pace?: RateLimiter | undefined;
  readonly novelty?: SeenIds | undefined;
  /** This very key was looked at. */
  readonly keyKnown?: boolean;
}

/** Nothing is asked yet; it ends with `life`. @throws OpenSSL's error */
export function buildSource(config: Config, ctx: Context, signals: ShutdownSignals, before: Before): SourceParts {
  const { emit, random, wake } = ctx;
  const { readBefore, novelty, keyKnown } = before;
  const { url: origin, apiKey, authScheme, requestsPerSecond, onKeyRejected, restrictedKey } = config.source;
  const http = openHttp(config, ctx);
  const pace = new RateLimiter(requestsPerSecond, () => performance.now(), before.pace);
  const actions = createActions(config.actions);
  const { drift = new SchemaDrift() } = ctx;
  const onNewEvents: AuditApiOptions['onNewEvents'] = (events, differences) =>
    drift.report(events, differences, actions, apiKey.current).forEach(emit);
  const api = openApi(config, ctx, { http, pace, emit, readBefore, onNewEvents, novelty });
  const policy = keyKnown ? 'off' : restrictedKey;
  const restriction = new KeyScopeCheck({ origin, apiKey, authScheme, http, pace, emit, policy });
  const keepPages = config.sinks.length > 1 ? pagesKept : 0;
  const source = new CachedSource({ api, onKeyRejected, emit, random, wake, restriction, keepPages, signals });
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
