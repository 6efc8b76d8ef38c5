import type { Config } from '../config/schema.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { SinkConfig } from '../sinks/registry.ts';
import type { StateStore } from '../state/store.ts';
import { graceMsOf, pipelineOptions } from './build-pipeline.ts';
import { pipelineIdentity } from './config-diff.ts';
import type { Context } from './context.ts';
import { stopReason, withHeartbeat } from './heartbeats.ts';
import { isStateError, type PipelineOutcome, PipelineSupervisor } from './pipeline-supervisor.ts';
import { ReloadableSource } from './reloadable-source.ts';
import { CronSchedule, longestIntervalMs } from './schedule.ts';
import { SealSenders, sealTargets } from './seal-senders.ts';

/** How a tenant ended. */
export interface Outcome {
  readonly pipelines: readonly PipelineOutcome[];
  /** Sinks with something sent and not yet confirmed and saved. */
  readonly pending: readonly string[];
}

/** Where a running tenant gets its next configurations from. */
export interface Reloads {
  /** The newest configuration that was not returned before, once there is one; undefined when `stop` fires. */
  next(stop: AbortSignal): Promise<Config | undefined>;
  /**
   * Applies what does not belong to the tenant (log level, telemetry). Called when the tenant's state permits the
   * configuration and its source is replaced, before its pipelines change.
   */
  apply(config: Config): Promise<void>;
}

/**
 * Runs the pipelines of one tenant until `signals.graceful`, on the configuration's schedule. Holds no state outside its
 * arguments, so any number of tenants run side by side.
 * @throws {CheckpointProblem} before anything is requested or sent @throws a bug
 */
export async function runTenant(
  config: Config,
  store: StateStore,
  ctx: Context,
  signals: ShutdownSignals,
  reloads: Reloads,
): Promise<Outcome> {
  const scope = childScope(signals);
  await using tenant = await Tenant.start(config, store, ctx, scope);
  // Fires before the source closes: requests that still wait end at once.
  using _ = { [Symbol.dispose]: scope.end };
  const reloading = tenant.followReloads(reloads).finally(scope.end);
  const [pipelines, reloaded] = await Promise.allSettled([tenant.pipelines.ended.finally(scope.end), reloading]);
  if (pipelines.status === 'rejected') throw pipelines.reason;
  if (reloaded.status === 'rejected') throw reloaded.reason;
  return { pipelines: pipelines.value, pending: [...tenant.pending] };
}

class Tenant implements AsyncDisposable {
  readonly pipelines: PipelineSupervisor;
  readonly pending = new Set<string>();
  readonly #ctx: Context;
  readonly #signals: ShutdownSignals;
  readonly #store: StateStore;
  readonly #source: ReloadableSource;
  readonly #ticks: CronSchedule;
  readonly #sealSenders: SealSenders;
  #config: Config;
  /** What the pipeline of each sink was built from. */
  readonly #builtFrom = new Map<string, { readonly sink: SinkConfig; readonly config: Config }>();

  static async start(config: Config, store: StateStore, ctx: Context, signals: ShutdownSignals): Promise<Tenant> {
    const { sinks } = config;
    reportStart(config, ctx, { reload: false, restarted: sinks.map(({ name }) => name) });
    const begun = await loadCheckpoints(config, store, ctx);
    const tenant = new Tenant(config, store, ctx, signals, begun.size > 0);
    tenant.pipelines.start(tenant.#build(sinks));
    return tenant;
  }

  private constructor(config: Config, store: StateStore, ctx: Context, signals: ShutdownSignals, readBefore: boolean) {
    this.#config = config;
    this.#ctx = ctx;
    this.#signals = signals;
    this.#store = store;
    this.#source = new ReloadableSource(config, ctx, signals, readBefore);
    this.#ticks = new CronSchedule(config.source.schedule);
    this.#sealSenders = new SealSenders(ctx);
    this.pipelines = new PipelineSupervisor(signals, () => graceMsOf(this.#config.shutdownTimeout), {
      run: async (pipeline, inner, isReplaced) => {
        const why = () => (isReplaced() ? undefined : stopReason(signals));
        const targets = sealTargets(this.#config, pipeline.name);
        await withHeartbeat(pipeline, inner, ctx.heartbeats, why, () =>
          this.#sealSenders.run(pipeline, targets, inner, () => pipeline.run(this.#ticks, inner)),
        );
        if (pipeline.isComplete) this.pending.delete(pipeline.name);
        else this.pending.add(pipeline.name);
        return 'done';
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ticks[Symbol.dispose]();
    await this.#source[Symbol.asyncDispose]();
  }

  /** Changes to one configuration after another until `signals.graceful`. */
  async followReloads(reloads: Reloads): Promise<void> {
    for (;;) {
      const next = await reloads.next(this.#signals.graceful);
      if (next === undefined) return;
      await this.#change(next, reloads);
    }
  }

  async #change(config: Config, reloads: Reloads): Promise<void> {
    const { emit, wake } = this.#ctx;
    let begun: ReadonlySet<string>;
    try {
      begun = await this.#checkState(config);
    } catch (error) {
      if (!isStateError(error)) throw error;
      const detail = `the old configuration stays: ${printable(error.message, 1000)}`;
      emit({ event: 'daemon.warning', topic: 'reload', detail });
      reportStart(this.#config, this.#ctx, { reload: true, restarted: [] });
      return wake.notify();
    }
    // First: no request may go out with a key that was removed.
    this.#source.change(config);
    await reloads.apply(config);
    const scheduled = config.source.schedule !== this.#config.source.schedule;
    this.#config = config;
    const restarted = this.#changed(config, begun);
    reportStart(config, this.#ctx, { reload: true, restarted: restarted.map(({ name }) => name) });
    this.pipelines.reconcile(new Set(config.sinks.map(({ name }) => name)), this.#build(restarted));
    if (scheduled) this.#ticks.change(config.source.schedule);
    this.#ticks.fire();
    wake.notify();
  }

  /** The sinks that have a checkpoint. @throws {CheckpointProblem} @throws the storage's error */
  async #checkState(config: Config): Promise<ReadonlySet<string>> {
    const begun = await loadCheckpoints(config, this.#store, this.#ctx);
    for (const { name } of this.#changed(config, begun)) await this.#store.deadLetters(name).probe();
    return begun;
  }

  /** Sinks whose pipeline does not run, or was built from something else than `config`. */
  #changed(config: Config, begun: ReadonlySet<string>): SinkConfig[] {
    return config.sinks.filter((sink) => {
      const from = this.#builtFrom.get(sink.name);
      if (from === undefined || !this.pipelines.isRunning(sink.name)) return true;
      const hasBegun = begun.has(sink.name);
      return pipelineIdentity(sink, config, hasBegun) !== pipelineIdentity(from.sink, from.config, hasBegun);
    });
  }

  #build(sinks: readonly SinkConfig[]) {
    const config = this.#config;
    const keys = new Map([...this.#builtFrom].map(([name, from]) => [name, from.config.evidence?.keyFile?.key]));
    const before = (name: string) => keys.get(name);
    const parts = {
      ...{ source: this.#source, store: this.#store, shutdownTimeoutMs: () => this.#config.shutdownTimeout },
      sealedBefore: before,
    };
    for (const sink of sinks) this.#builtFrom.set(sink.name, { sink, config });
    for (const name of this.#builtFrom.keys()) {
      if (config.sinks.some((sink) => sink.name === name)) continue;
      this.#builtFrom.delete(name);
      this.pending.delete(name);
    }
    return sinks.map((sink) => pipelineOptions(sink, config, this.#ctx, parts));
  }
}

/**
 * Loads every checkpoint once, so that a problem shows before anything starts. @returns the sinks that have one
 * @throws {CheckpointProblem}
 */
export async function loadCheckpoints(
  { sinks }: Config,
  store: StateStore,
  { emit }: Context,
): Promise<ReadonlySet<string>> {
  const names = sinks.map(({ name }) => name);
  const loaded = await Promise.all(names.map((name) => store.load(name)));
  for (const { sink } of await store.inspect()) if (!names.includes(sink)) emit({ event: 'checkpoint.orphan', sink });
  return new Set(names.filter((_, index) => loaded[index] !== undefined));
}

function reportStart(
  { sinks, source }: Config,
  { emit, version }: Context,
  more: { readonly reload: boolean; readonly restarted: readonly string[] },
): void {
  const names = sinks.map(({ name }) => name);
  emit({ event: 'daemon.start', version, sinks: names, pollEveryMs: longestIntervalMs(source.schedule), ...more });
}
