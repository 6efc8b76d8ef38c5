import type { Config } from '../config/schema.ts';
import { type Actions, createActions } from '../format/actions.ts';
import { actionFilter } from '../format/filter.ts';
import { createFormat } from '../format/formats.ts';
import { redactor } from '../format/redact.ts';
import { type HttpClient, httpClient } from '../lib/http.ts';
import { tlsMaterial } from '../lib/tls.ts';
import type { EncodingOptions } from '../pipeline/encode.ts';
import { definitionOf, type SinkConfig } from '../sinks/registry.ts';
import type { Sink } from '../sinks/sink.ts';
import { AuditApi, type AuditApiOptions } from '../source/audit-api.ts';
import { largestBodyBytes } from '../source/page-size.ts';
import type { RateLimiter } from '../source/rate-limiter.ts';
import type { SeenIds } from '../source/seen-ids.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { Context } from './context.ts';

export type { SinkConfig };

/** Host name of the tenant. */
export const tenantOf = (config: Config): string => new URL(config.source.url).hostname;

/** The way to the API; `timeoutMs` in place of the configured one. @throws the error of a file of the tls block */
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

/** How long a route may take to end: what comes after it of a stop needs its part of the shutdown timeout. */
export const graceMsOf = (config: Config): number => config.shutdownTimeout * 0.75;

export interface ApiParts {
  readonly http: HttpClient;
  readonly pace: RateLimiter;
  readonly emit: Emit;
  /** Default: the configured one. */
  readonly pageSize?: number;
  /** A page of this origin was read in an earlier start. */
  readonly readBefore: boolean;
  readonly onNewEvents?: NonNullable<AuditApiOptions['onNewEvents']>;
  /** What a source before this one has read. */
  readonly novelty?: SeenIds | undefined;
}

export function openApi({ source }: Config, { now }: Context, parts: ApiParts): AuditApi {
  const { url: origin, apiKey, authScheme, pageSize } = source;
  return new AuditApi({ origin, apiKey, authScheme, pageSize, now, ...parts });
}

/** What a sink wants of an event, and how. One table of `actions` serves all sinks. */
export function shapeOf(
  { format, envelope, filter, redact, hash, hashKey, hashKeyFile }: SinkConfig,
  config: Config,
  { version }: Context,
  actions: Actions = createActions(config.actions),
): EncodingOptions {
  const key = (hashKey ?? hashKeyFile)?.current;
  return {
    format: createFormat(format, { envelope, actions }, { tenant: tenantOf(config), version }),
    wants: actionFilter(filter ?? {}),
    redact: redactor(redact ?? [], hash && key && { paths: hash, key }),
  };
}

/** Opens a sink for records of `shape`; `pendingAcks` is what it remembered in an earlier process. */
export function openSinkOf(
  sink: SinkConfig,
  { format }: Pick<EncodingOptions, 'format'>,
  config: Config,
  { version, emit, now, random, env }: Context,
  pendingAcks?: unknown,
): Sink {
  const { name } = sink;
  const deps = { name, tenant: tenantOf(config), version, format, emit, now, random, env, pendingAcks };
  return definitionOf(sink).open(sink, deps);
}
