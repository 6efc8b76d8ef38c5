import type { Config } from '../config/schema.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import { CheckpointProblem, type CheckpointStore } from '../state/store.ts';
import { graceMsOf, type SinkConfig } from './build-pipeline.ts';
import { type Context, deadLetterOf, lookAtCheckpoints, openStore, pipelineOptions } from './compose.ts';
import { pipelineIdentity } from './config-diff.ts';
import { reasonOf, withHeartbeat } from './heartbeats.ts';
import { PipelineSupervisor } from './pipeline-supervisor.ts';
import { ReloadableSource } from './reloadable-source.ts';
import { isWhole, type PipelineOutcome } from './run-all.ts';
import { CronSchedule, longestIntervalMs } from './schedule.ts';

export interface Ended {
  readonly endings: PipelineOutcome[];
  /** Sinks that did not get all that was on its way to them. */
  readonly pending: string[];
}

/** What happens around the routes when a configuration comes into force. */
export interface Changes {
  /** The next configuration to put in force; undefined when `stop` fires. */
  next(stop: AbortSignal): Promise<Config | undefined>;
  /** Puts all else of it in force, before the routes. */
  apply(config: Config): Promise<void>;
}

/**
 * Polls and delivers until `signals.graceful`; gives how each route ended. A configuration that `changes` gives touches only
 * the routes that it changes. @throws {CheckpointProblem} before anything was asked or sent @throws a bug
 */
export async function run(config: Config, ctx: Context, signals: ShutdownSignals, changes: Changes): Promise<Ended> {
  const scope = childScope(signals);
  await using daemon = await Daemon.start(config, ctx, scope, changes);
  // Comes before it closes: what the source still waits for is let go.
  using _ = { [Symbol.dispose]: scope.end };
  const changing = daemon.heed(changes).finally(scope.end);
  const [endings, heeded] = await Promise.allSettled([daemon.routes.ended.finally(scope.end), changing]);
  for (const result of [endings, heeded]) if (result.status === 'rejected') throw result.reason;
  return { endings: endings.status === 'fulfilled' ? endings.value : [], pending: [...daemon.pending] };
}

class Daemon implements AsyncDisposable {
  readonly routes: PipelineSupervisor;
  readonly pending = new Set<string>();
  readonly #ctx: Context;
  readonly #signals: ShutdownSignals;
  readonly #store: CheckpointStore;
  readonly #source: ReloadableSource;
  readonly #ticks: CronSchedule;
  #config: Config;
  /** What the route of each sink was made of. */
  readonly #made = new Map<string, { readonly sink: SinkConfig; readonly config: Config }>();

  static async start(config: Config, ctx: Context, signals: ShutdownSignals, changes: Changes): Promise<Daemon> {
    await changes.apply(config);
    const store = await openStore(config, ctx);
    tellOfStart(config, ctx, { reload: false, restarted: config.sinks.map(({ name }) => name) });
    const { readBefore } = await lookAtCheckpoints(config, store, ctx.emit);
    const daemon = new Daemon(config, ctx, signals, store, readBefore);
    daemon.#begin(config.sinks);
    return daemon;
  }

  private constructor(
    config: Config,
    ctx: Context,
    signals: ShutdownSignals,
    store: CheckpointStore,
    readBefore: boolean,
  ) {
    this.#config = config;
    this.#ctx = ctx;
    this.#signals = signals;
    this.#store = store;
    this.#source = new ReloadableSource(config, ctx, signals, readBefore);
    this.#ticks = new CronSchedule(config.source.schedule);
    this.routes = new PipelineSupervisor(signals, async (route, inner, isChanging) => {
      await withHeartbeat(
        route,
        inner,
        ctx.heartbeats,
        () => (isChanging() ? undefined : reasonOf(signals)),
        () => route.run(this.#ticks, inner),
      );
      if (isWhole(route)) this.pending.delete(route.name);
      else this.pending.add(route.name);
      return 'done';
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ticks[Symbol.dispose]();
    await this.#source[Symbol.asyncDispose]();
  }

  /** Takes up one configuration after the other until `signals.graceful`. */
  async heed(changes: Changes): Promise<void> {
    for (;;) {
      const next = await changes.next(this.#signals.graceful);
      if (next === undefined) return;
      await this.#change(next, changes);
    }
  }

  async #change(config: Config, changes: Changes): Promise<void> {
    const { emit, wake } = this.#ctx;
    let begun: ReadonlySet<string>;
    try {
      begun = await this.#lookAtState(config);
    } catch (error) {
      if (!(error instanceof CheckpointProblem) && !('syscall' in (error as Error))) throw error;
      const detail = `the old configuration stays: ${printable((error as Error).message, 1000)}`;
      emit({ event: 'daemon.warning', topic: 'reload', detail });
      tellOfStart(this.#config, this.#ctx, { reload: true, restarted: [] });
      return wake.notify();
    }
    // First of all: a key that is gone now must not be asked with again.
    this.#source.change(config);
    await changes.apply(config);
    const scheduled = config.source.schedule !== this.#config.source.schedule;
    this.#config = config;
    const restarted = this.#changed(config, begun);
    tellOfStart(config, this.#ctx, { reload: true, restarted: restarted.map(({ name }) => name) });
    this.#begin(restarted);
    if (scheduled) this.#ticks.change(config.source.schedule);
    this.#ticks.fire();
    wake.notify();
  }

  /** Sinks with a checkpoint. @throws {CheckpointProblem} @throws the file system's error */
  async #lookAtState(config: Config): Promise<ReadonlySet<string>> {
    const { begun } = await lookAtCheckpoints(config, this.#store, this.#ctx.emit);
    for (const { name } of this.#changed(config, begun)) await deadLetterOf(name, config, this.#ctx).probe();
    return begun;
  }

  /** Sinks whose routes are not what `config` says, or run no more. */
  #changed(config: Config, begun: ReadonlySet<string>): SinkConfig[] {
    return config.sinks.filter((sink) => {
      const made = this.#made.get(sink.name);
      const hasBegun = begun.has(sink.name);
      return (
        made === undefined ||
        !this.routes.isRunning(sink.name) ||
        pipelineIdentity(sink, config, hasBegun) !== pipelineIdentity(made.sink, made.config, hasBegun)
      );
    });
  }

  #begin(restarted: readonly SinkConfig[]): void {
    const config = this.#config;
    const parts = { source: this.#source, store: this.#store, graceMs: () => graceMsOf(this.#config) };
    const names = new Set(config.sinks.map(({ name }) => name));
    this.routes.want(
      names,
      restarted.map((sink) => pipelineOptions(sink, config, this.#ctx, parts)),
    );
    for (const sink of restarted) this.#made.set(sink.name, { sink, config });
    for (const name of this.#made.keys()) {
      if (names.has(name)) continue;
      this.#made.delete(name);
      this.pending.delete(name);
    }
  }
}

function tellOfStart(
  config: Config,
  { emit, version }: Context,
  more: { readonly reload: boolean; readonly restarted: readonly string[] },
): void {
  const sinks = config.sinks.map(({ name }) => name);
  const pollEveryMs = longestIntervalMs(config.source.schedule);
  emit({ event: 'daemon.start', version, sinks, pollEveryMs, ...more });
}
