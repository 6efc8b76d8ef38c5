import type { Config } from '../config/schema.ts';
import { createActions } from '../format/actions.ts';
import { type HttpClient, httpClient } from '../lib/http.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import { tlsMaterial } from '../lib/tls.ts';
import { AuditApi, type AuditApiOptions } from '../source/audit-api.ts';
import { KeyScopeCheck } from '../source/key-scope.ts';
import { CachedSource } from '../source/page-cache.ts';
import { largestBodyBytes } from '../source/page-size.ts';
import { RateLimiter } from '../source/rate-limiter.ts';
import { SchemaDrift } from '../source/schema-drift.ts';
import type { SeenIds } from '../source/seen-ids.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { Context } from './context.ts';

/** Pages cached for pipelines that are a little behind the first. */
const cachedPages = 4;

/** The HTTP client for the API; `timeoutMs` replaces the configured one. @throws the error of a file of the tls block */
export function openHttp({ source }: Config, { version, env, emit }: Context, timeoutMs = source.timeout): HttpClient {
  return httpClient({
    timeoutMs,
    maxBodyBytes: largestBodyBytes,
    userAgent: `qasphere-siem-forwarder/${version}`,
    tls: tlsMaterial(source.tls),
    proxy: source.proxy,
    env,
    onCertificate: (endsAtMs) => emit({ event: 'tls.certificate', peer: 'source', whose: 'server', endsAtMs }),
  });
}

export interface ApiParts {
  readonly http: HttpClient;
  readonly rateLimiter: RateLimiter;
  readonly emit: Emit;
  /** Default: the configured one. */
  readonly pageSize?: number;
  /** A page of this origin was read in an earlier start. */
  readonly readBefore: boolean;
  readonly onNewEvents?: NonNullable<AuditApiOptions['onNewEvents']>;
  /** The ids that a source before this one has read. */
  readonly seenIds?: SeenIds | undefined;
}

export function openApi({ source }: Config, { now }: Context, parts: ApiParts): AuditApi {
  const { url: origin, apiKey, authScheme, pageSize } = source;
  return new AuditApi({ origin, apiKey, authScheme, pageSize, now, ...parts });
}

/** The source of all pipelines of a tenant, with the parts that outlive its replacement. */
export interface SourceParts extends AsyncDisposable {
  readonly source: CachedSource;
  readonly rateLimiter: RateLimiter;
  readonly keyScope: KeyScopeCheck;
}

/** What an earlier source learned that holds for its successor too. */
export interface Learned {
  /** A page of this origin was read. */
  readonly readBefore: boolean;
  /** The request rate is limited across both. */
  readonly rateLimiter?: RateLimiter | undefined;
  readonly seenIds?: SeenIds | undefined;
  /** The scope of this very key is known. */
  readonly scopeKnown?: boolean;
}

/** Requests nothing yet; ends with `signals`. @throws OpenSSL's error */
export function buildSource(config: Config, ctx: Context, signals: ShutdownSignals, learned: Learned): SourceParts {
  const { emit, random, wake, schemaDrift = new SchemaDrift() } = ctx;
  const { readBefore, seenIds, scopeKnown } = learned;
  const { url: origin, apiKey, authScheme, requestsPerSecond, onKeyRejected, restrictedKey } = config.source;
  const http = openHttp(config, ctx);
  const rateLimiter = new RateLimiter(requestsPerSecond, () => performance.now(), learned.rateLimiter);
  const actions = createActions(config.actions);
  const onNewEvents: AuditApiOptions['onNewEvents'] = (events, differences) =>
    schemaDrift.report(events, differences, actions, apiKey.current).forEach(emit);
  const api = openApi(config, ctx, { http, rateLimiter, emit, readBefore, onNewEvents, seenIds });
  const scope = { policy: restrictedKey, ...(scopeKnown === true && { isKnown: true }) };
  const keyScope = new KeyScopeCheck({ origin, apiKey, authScheme, http, rateLimiter, emit, ...scope });
  const maxCachedPages = config.sinks.length > 1 ? cachedPages : 0;
  const source = new CachedSource({ api, onKeyRejected, emit, random, wake, keyScope, maxCachedPages, signals });
  return {
    source,
    rateLimiter,
    keyScope,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}
