import { join } from 'node:path';
import { encodingOptions, graceMsOf, openSink } from '../../app/build-pipeline.ts';
import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import { catchUp } from '../../app/once.ts';
import type { PipelineOutcome } from '../../app/pipeline-supervisor.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { childScope, type ShutdownSignals } from '../../lib/shutdown.ts';
import type { PipelineOptions } from '../../pipeline/pipeline.ts';
import type { SinkConfig } from '../../sinks/registry.ts';
import { KeyScopeCheck } from '../../source/key-scope.ts';
import { CachedSource } from '../../source/page-cache.ts';
import { RangeSource } from '../../source/range.ts';
import type { Source } from '../../source/source.ts';
import { DeadLetterFile } from '../../state/file/dead-letter-files.ts';
import { appendOperation } from '../../state/file/operations.ts';
import { usingState } from '../../state/file/state-directory.ts';
import type { CheckpointStore } from '../../state/store.ts';
import type { Emit, TelemetryEvent } from '../../telemetry/telemetry-event.ts';
import type { CommandRateLimit } from '../command-rate-limit.ts';
import { DeadLetterSource } from './dead-letter-source.ts';
import { deadLetterOf, type ReplayPlan } from './plan.ts';

export interface ReplayOptions {
  readonly plan: ReplayPlan;
  readonly speed: CommandRateLimit;
  /** How long source or sink may go without progress, milliseconds. */
  readonly patienceMs: number;
}

/** What became of a replay. */
export interface Replayed {
  readonly outcomes: readonly PipelineOutcome[];
  /** Nothing of the range is left. */
  readonly whole: boolean;
  readonly delivered: number;
  readonly filtered: number;
  readonly setAside: number;
  /** Everything up to here is done; a stopped replay goes on after it. */
  readonly reached: Cursor;
}

/**
 * Sends a range again, through the sink's own filter, redaction and format, by a sink of its own (HEC: another channel).
 * It is a route like any other whose checkpoint lives in memory, so that the sink's stays where it is. What is refused
 * again goes to `<sink>.replay.ndjson`. Takes no lock.
 * @throws {StateProblem} @throws a bug
 */
export async function replay(
  config: Config,
  ctx: Context,
  signals: ShutdownSignals,
  options: ReplayOptions,
): Promise<Replayed> {
  const { plan, speed, patienceMs } = options;
  const counts = { delivered: 0, filtered: 0, setAside: 0, reached: plan.after };
  const own: Context = { ...ctx, emit: counting(counts, ctx.emit) };
  const sink = config.sinks.find(({ name }) => name === plan.sink);
  if (sink === undefined) throw new TypeError('the sink of a replay is a configured one');
  const { directory } = config.state;
  const entry = { operation: 'replay', sink: plan.sink, source: plan.from, from: plan.after, to: plan.until };
  const note = (more: object) =>
    usingState(directory, () => appendOperation({ directory, now: ctx.now }, { ...entry, ...more }));

  await note({ outcome: 'started' });
  const scope = childScope(signals);
  let outcomes: readonly PipelineOutcome[];
  try {
    await using source = await openSource(config, own, scope, plan, speed);
    using _ = { [Symbol.dispose]: scope.end };
    const pipeline = routeOf(config, own, sink, source.source, plan);
    const onEnd = ({ after }: { readonly after: Cursor }) => {
      counts.reached = after;
    };
    outcomes = await catchUp([pipeline], own, scope, { patienceMs, onEnd });
  } catch (error) {
    await note({ outcome: 'failed', ...counts }).catch(() => {});
    throw error;
  }
  const [ending] = outcomes;
  const whole = ending?.kind === 'done' && !signals.graceful.aborted;
  const outcome = whole ? 'done' : ending?.kind === 'done' ? 'stopped' : ending?.kind;
  await note({ outcome, ...counts });
  return { outcomes, whole, ...counts };
}

function routeOf(config: Config, ctx: Context, sink: SinkConfig, source: Source, plan: ReplayPlan): PipelineOptions {
  const { emit, now, random, wake } = ctx;
  const { name } = sink;
  const encoding = encodingOptions(sink, config, ctx);
  const directory = join(config.state.directory, 'dead-letter');
  return {
    ...encoding,
    name,
    origin: config.source.url,
    source,
    store: forgetful(config, plan.after),
    // The range is past: nothing is waited for behind the cursor.
    settleMs: 0,
    pageSize: config.source.pageSize,
    startAt: { kind: 'beginning' },
    emit,
    now,
    random,
    wake,
    graceMs: () => graceMsOf(config.shutdownTimeout),
    deadLetter: new DeadLetterFile({ directory, name: `${name}.replay`, now }),
    openSink: () => openSink(sink, encoding, config, ctx),
  };
}

/** A checkpoint that begins behind `after` and is not kept. */
function forgetful(config: Config, after: Cursor): CheckpointStore {
  return {
    load: async (sink) => ({ sink, source: config.source.url, after, delivered: [], refusedInRow: 0 }),
    save: async () => {},
    list: async () => [],
  };
}

async function openSource(
  config: Config,
  ctx: Context,
  signals: ShutdownSignals,
  plan: ReplayPlan,
  { pace, turn }: CommandRateLimit,
): Promise<AsyncDisposable & { readonly source: Source }> {
  if (plan.from === 'dead letter') {
    const source = await DeadLetterSource.open(deadLetterOf(config, plan.sink), plan.after, plan.until);
    return { source, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
  }
  const { emit, random, wake } = ctx;
  const { url: origin, apiKey, authScheme } = config.source;
  const http = openHttp(config, ctx);
  const api = openApi(config, ctx, { http, pace, emit, readBefore: plan.readBefore });
  const restriction = new KeyScopeCheck({ origin, apiKey, authScheme, http, pace, emit, policy: 'off' });
  const shared = new CachedSource({
    ...{ api, emit, random, wake, restriction, signals },
    onKeyRejected: 'exit',
    keepPages: 0,
  });
  return {
    source: new RangeSource({ source: shared, until: plan.until, turn }),
    async [Symbol.asyncDispose]() {
      await shared[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}

/** What a route says of its cursor would mislead here. */
const unsaid: readonly TelemetryEvent['event'][] = ['pipeline.start', 'pipeline.done', 'checkpoint.saved'];

function counting(counts: { delivered: number; filtered: number; setAside: number }, emit: Emit): Emit {
  return (happening) => {
    if (happening.event === 'pipeline.delivered') counts.delivered += happening.records;
    if (happening.event === 'pipeline.filtered') counts.filtered += happening.events;
    if (happening.event === 'pipeline.set_aside') counts.setAside += 1;
    if (!unsaid.includes(happening.event)) emit(happening);
  };
}
