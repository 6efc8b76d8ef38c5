import type { Config } from '../config/schema.ts';
import type { SigningKey } from '../evidence/keys.ts';
import { type Actions, createActions } from '../format/actions.ts';
import { actionFilter } from '../format/filter.ts';
import { createFormat } from '../format/formats.ts';
import { redactor } from '../format/redact.ts';
import type { EncodingOptions } from '../pipeline/encode.ts';
import type { PipelineOptions } from '../pipeline/pipeline.ts';
import type { SealingOptions } from '../pipeline/sealer.ts';
import { definitionOf, type SinkConfig } from '../sinks/registry.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Source } from '../source/source.ts';
import type { StateStore } from '../state/store.ts';
import { fingerprint } from './config-diff.ts';
import type { Context } from './context.ts';
import { tenantIdentity } from './open-state.ts';

export interface PipelineParts {
  readonly source: Source;
  readonly store: StateStore;
  /** The `shutdownTimeout` in force, milliseconds. */
  readonly shutdownTimeoutMs: () => number;
  /** The key that signed the seals of a sink's pipeline before this one. */
  readonly sealedBefore?: (sink: string) => SigningKey | undefined;
}

/** Everything that `Pipeline.open` needs for one sink. */
export function pipelineOptions(
  sink: SinkConfig,
  config: Config,
  ctx: Context,
  { source, store, shutdownTimeoutMs, sealedBefore }: PipelineParts,
): PipelineOptions {
  const { emit, now, random, wake } = ctx;
  const { name } = sink;
  const encoding = encodingOptions(sink, config, ctx, createActions(config.actions));
  const { url: origin, settle, pageSize, startAt } = config.source;
  return {
    ...encoding,
    name,
    origin,
    settleMs: settle,
    pageSize,
    startAt,
    source,
    store,
    emit,
    now,
    random,
    wake,
    graceMs: () => graceMsOf(shutdownTimeoutMs()),
    deadLetter: store.deadLetters(name),
    isExclusive: definitionOf(sink).exclusive?.(sink) !== undefined,
    sealing: sealingOptions(sink, config, ctx, store, sealedBefore?.(name)),
    openSink: (pendingAcks) => openSink(sink, encoding, config, ctx, pendingAcks),
  };
}

function sealingOptions(
  sink: SinkConfig,
  config: Config,
  { version }: Context,
  store: StateStore,
  sealedBefore: SigningKey | undefined,
): SealingOptions | undefined {
  const { evidence } = config;
  if (evidence === undefined) return undefined;
  const facts = { tenant: tenantIdentity(config).name, sink: sink.name, config: fingerprint(config), epoch: 0 };
  return {
    store: store.seals(sink.name),
    everyMs: evidence.every,
    facts: { ...facts, software: { name: 'qasphere-siem-forwarder', version } },
    proof: () => definitionOf(sink).proof(sink),
    key: evidence.keyFile?.key,
    previousKey: evidence.previousKeyFile?.key ?? sealedBefore,
    operations: (from) => store.operations(from),
  };
}

/** How long a pipeline may take to end, milliseconds: closing sinks and telemetry needs the rest of `shutdownTimeout`. */
export const graceMsOf = (shutdownTimeoutMs: number): number => shutdownTimeoutMs * 0.75;

/** Host name of the tenant. */
const tenantOf = (config: Config): string => new URL(config.source.url).hostname;

/** Which events a sink gets, and in which form. One table of `actions` can serve all sinks. */
export function encodingOptions(
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

/** Opens a sink for records of this format; `pendingAcks` is what the sink stored in an earlier process. */
export function openSink(
  sink: SinkConfig,
  { format }: Pick<EncodingOptions, 'format'>,
  config: Config,
  { version, emit, now, random, env, strayErrors }: Context,
  pendingAcks?: unknown,
): Sink {
  const { name } = sink;
  const deps = { name, tenant: tenantOf(config), version, format, emit, now, random, env, pendingAcks, strayErrors };
  return definitionOf(sink).open(sink, deps);
}
