import { encodingOptions, graceMsOf, openSink } from '../../app/build-pipeline.ts';
import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import { catchUp } from '../../app/once.ts';
import { tenantIdentity } from '../../app/open-state.ts';
import type { PipelineOutcome } from '../../app/pipeline-supervisor.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { printable } from '../../lib/printable.ts';
import { childScope, type ShutdownSignals } from '../../lib/shutdown.ts';
import type { PipelineOptions } from '../../pipeline/pipeline.ts';
import type { SinkConfig } from '../../sinks/registry.ts';
import { KeyScopeCheck } from '../../source/key-scope.ts';
import { CachedSource } from '../../source/page-cache.ts';
import { RangeSource } from '../../source/range.ts';
import type { Source } from '../../source/source.ts';
import { MemoryStore } from '../../state/memory.ts';
import { ignoreStateProblem, type SharedState } from '../../state/store.ts';
import type { Emit, TelemetryEvent } from '../../telemetry/telemetry-event.ts';
import type { CommandRateLimit } from '../command-rate-limit.ts';
import { DeadLetterSource } from './dead-letter-source.ts';
import type { ReplayPlan } from './plan.ts';

export interface ReplayOptions {
  readonly plan: ReplayPlan;
  readonly speed: CommandRateLimit;
  /** The source or sink is given up after this time without progress, milliseconds. */
  readonly patienceMs: number;
}

/** How a replay ended. */
export interface Replayed {
  readonly outcomes: readonly PipelineOutcome[];
  /** The whole range was sent. */
  readonly complete: boolean;
  readonly delivered: number;
  readonly filtered: number;
  readonly deadLettered: number;
  /** Every event up to this id is done; a stopped replay continues after it. */
  readonly reached: Cursor;
}

/**
 * Sends a range again, with the filter, redaction and format of the sink, over a separate connection (HEC: another
 * channel). It is a pipeline like any other, but its checkpoint is in memory, so that the stored one does not move. Records
 * that are rejected again become dead letters of the kind `replay`. Takes no ownership of the state.
 * @throws {StateProblem} @throws a bug
 */
export async function replay(
  config: Config,
  state: SharedState,
  ctx: Context,
  signals: ShutdownSignals,
  options: ReplayOptions,
): Promise<Replayed> {
  const { plan, speed, patienceMs } = options;
  const counts = { delivered: 0, filtered: 0, deadLettered: 0, reached: plan.after };
  const own: Context = { ...ctx, emit: counting(counts, ctx.emit) };
  const sink = config.sinks.find(({ name }) => name === plan.sink);
  if (sink === undefined) throw new TypeError(`sink ${plan.sink} is not configured`);
  const entry = { operation: 'replay', sink: plan.sink, source: plan.from, from: plan.after, to: plan.until };
  const record = (more: object) => state.record({ ...entry, ...more });

  await record({ outcome: 'started' });
  const scope = childScope(signals);
  let outcomes: readonly PipelineOutcome[];
  try {
    await using source = openSource(config, state, own, scope, plan, speed);
    using _ = { [Symbol.dispose]: scope.end };
    const pipeline = await pipelineOf(config, state, own, sink, source.source, plan);
    const onEnd = ({ after }: { readonly after: Cursor }) => {
      counts.reached = after;
    };
    outcomes = await catchUp([pipeline], own, scope, { patienceMs, onEnd });
  } catch (error) {
    const detail = printable((error as Error).message, 1000);
    await record({ outcome: 'failed', detail, ...counts }).catch(ignoreStateProblem);
    throw error;
  }
  const [ending] = outcomes;
  const complete = ending?.kind === 'done' && !signals.graceful.aborted;
  const outcome = complete ? 'done' : ending?.kind === 'done' ? 'stopped' : ending?.kind;
  await record({ outcome, ...counts });
  return { outcomes, complete, ...counts };
}

async function pipelineOf(
  config: Config,
  state: SharedState,
  ctx: Context,
  sink: SinkConfig,
  source: Source,
  plan: ReplayPlan,
): Promise<PipelineOptions> {
  const { emit, now, random, wake } = ctx;
  const { name } = sink;
  const encoding = encodingOptions(sink, config, ctx);
  const store = new MemoryStore(tenantIdentity(config), now);
  await store.save({ sink: name, source: config.source.url, after: plan.after, delivered: [], refusedInRow: 0 });
  return {
    ...encoding,
    name,
    origin: config.source.url,
    source,
    store,
    // The range is past: no late event is waited for.
    settleMs: 0,
    pageSize: config.source.pageSize,
    startAt: { kind: 'beginning' },
    emit,
    now,
    random,
    wake,
    graceMs: () => graceMsOf(config.shutdownTimeout),
    deadLetter: state.deadLetters(name, 'replay'),
    openSink: () => openSink(sink, encoding, config, ctx),
  };
}

function openSource(
  config: Config,
  state: SharedState,
  ctx: Context,
  signals: ShutdownSignals,
  plan: ReplayPlan,
  { rateLimiter, turn }: CommandRateLimit,
): AsyncDisposable & { readonly source: Source } {
  if (plan.from === 'dead letter') {
    const source = new DeadLetterSource(state.deadLetters(plan.sink), plan.until);
    return { source, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
  }
  const { emit, random, wake } = ctx;
  const { url: origin, apiKey, authScheme, restrictedKey } = config.source;
  const http = openHttp(config, ctx);
  const api = openApi(config, ctx, { http, rateLimiter, emit, readBefore: plan.readBefore });
  // A warning is the daemon's; what must be restricted is restricted here too.
  const policy = restrictedKey === 'require' ? 'require' : 'off';
  const keyScope = new KeyScopeCheck({ origin, apiKey, authScheme, http, rateLimiter, emit, policy });
  const shared = new CachedSource({
    ...{ api, emit, random, wake, keyScope, signals },
    onKeyRejected: 'exit',
    maxCachedPages: 0,
  });
  return {
    source: new RangeSource({ source: shared, until: plan.until, turn }),
    async [Symbol.asyncDispose]() {
      await shared[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}

/** They would report the cursor of the replay as that of the sink. */
const hidden: readonly TelemetryEvent['event'][] = ['pipeline.start', 'pipeline.done', 'checkpoint.saved'];

function counting(counts: { delivered: number; filtered: number; deadLettered: number }, emit: Emit): Emit {
  return (event) => {
    if (event.event === 'pipeline.delivered') counts.delivered += event.records;
    if (event.event === 'pipeline.filtered') counts.filtered += event.events;
    if (event.event === 'pipeline.set_aside') counts.deadLettered += 1;
    if (!hidden.includes(event.event)) emit(event);
  };
}
