import type { Config } from '../config/schema.ts';
import { printable } from '../lib/printable.ts';
import { type Life, within } from '../lib/shutdown.ts';
import { CheckpointProblem, type CheckpointStore } from '../state/store.ts';
import { graceMsOf, type SinkConfig } from './build-pipeline.ts';
import { deadLetterOf, lookAtCheckpoints, openStore, routeOptions, type World } from './compose.ts';
import { routeIdentity } from './config-diff.ts';
import { besideFeed, reasonOf } from './heartbeats.ts';
import { LiveRoutes } from './pipeline-supervisor.ts';
import { LiveSource } from './reloadable-source.ts';
import { type Ending, isWhole } from './run-all.ts';
import { CronTicks, longestIntervalMs } from './schedule.ts';

export interface Ended {
  readonly endings: Ending[];
  /** Sinks that did not get all that was on its way to them. */
  readonly behind: string[];
}

/** What happens around the routes when a configuration comes into force. */
export interface Changes {
  /** The next configuration to put in force; undefined when `stop` fires. */
  next(stop: AbortSignal): Promise<Config | undefined>;
  /** Puts all else of it in force, before the routes. */
  apply(config: Config): Promise<void>;
}

/**
 * Polls and delivers until `life.stop`; gives how each route ended. A configuration that `changes` gives touches only
 * the routes that it changes. @throws {CheckpointProblem} before anything was asked or sent @throws a bug
 */
export async function run(config: Config, world: World, life: Life, changes: Changes): Promise<Ended> {
  const scope = within(life);
  await using daemon = await Daemon.start(config, world, scope, changes);
  // Comes before it closes: what the source still waits for is let go.
  using _ = { [Symbol.dispose]: scope.end };
  const changing = daemon.heed(changes).finally(scope.end);
  const [endings, heeded] = await Promise.allSettled([daemon.routes.ended.finally(scope.end), changing]);
  for (const result of [endings, heeded]) if (result.status === 'rejected') throw result.reason;
  return { endings: endings.status === 'fulfilled' ? endings.value : [], behind: [...daemon.behind] };
}

class Daemon implements AsyncDisposable {
  readonly routes: LiveRoutes;
  readonly behind = new Set<string>();
  readonly #world: World;
  readonly #life: Life;
  readonly #store: CheckpointStore;
  readonly #source: LiveSource;
  readonly #ticks: CronTicks;
  #config: Config;
  /** What the route of each sink was made of. */
  readonly #made = new Map<string, { readonly sink: SinkConfig; readonly config: Config }>();

  static async start(config: Config, world: World, life: Life, changes: Changes): Promise<Daemon> {
    await changes.apply(config);
    const store = await openStore(config, world);
    tellOfStart(config, world, { reload: false, anew: config.sinks.map(({ name }) => name) });
    const { readBefore } = await lookAtCheckpoints(config, store, world.observe);
    const daemon = new Daemon(config, world, life, store, readBefore);
    daemon.#begin(config.sinks);
    return daemon;
  }

  private constructor(config: Config, world: World, life: Life, store: CheckpointStore, readBefore: boolean) {
    this.#config = config;
    this.#world = world;
    this.#life = life;
    this.#store = store;
    this.#source = new LiveSource(config, world, life, readBefore);
    this.#ticks = new CronTicks(config.source.schedule);
    this.routes = new LiveRoutes(life, async (route, inner, isChanging) => {
      await besideFeed(
        route,
        inner,
        world.feeds,
        () => (isChanging() ? undefined : reasonOf(life)),
        () => route.run(this.#ticks, inner),
      );
      if (isWhole(route)) this.behind.delete(route.name);
      else this.behind.add(route.name);
      return 'done';
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ticks[Symbol.asyncDispose]();
    await this.#source[Symbol.asyncDispose]();
  }

  /** Takes up one configuration after the other until `life.stop`. */
  async heed(changes: Changes): Promise<void> {
    for (;;) {
      const next = await changes.next(this.#life.stop);
      if (next === undefined) return;
      await this.#change(next, changes);
    }
  }

  async #change(config: Config, changes: Changes): Promise<void> {
    const { observe, wake } = this.#world;
    let begun: ReadonlySet<string>;
    try {
      begun = await this.#lookAtState(config);
    } catch (error) {
      if (!(error instanceof CheckpointProblem) && !('syscall' in (error as Error))) throw error;
      const detail = `the old configuration stays: ${printable((error as Error).message, 1000)}`;
      observe({ event: 'daemon.warning', topic: 'reload', detail });
      tellOfStart(this.#config, this.#world, { reload: true, anew: [] });
      return wake.notify();
    }
    // First of all: a key that is gone now must not be asked with again.
    this.#source.change(config);
    await changes.apply(config);
    const scheduled = config.source.schedule !== this.#config.source.schedule;
    this.#config = config;
    const anew = this.#changed(config, begun);
    tellOfStart(config, this.#world, { reload: true, anew: anew.map(({ name }) => name) });
    this.#begin(anew);
    if (scheduled) await this.#ticks.change(config.source.schedule);
    this.#ticks.fire();
    wake.notify();
  }

  /** Sinks with a checkpoint. @throws {CheckpointProblem} @throws the file system's error */
  async #lookAtState(config: Config): Promise<ReadonlySet<string>> {
    const { begun } = await lookAtCheckpoints(config, this.#store, this.#world.observe);
    for (const { name } of this.#changed(config, begun)) await deadLetterOf(name, config, this.#world).probe();
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
        routeIdentity(sink, config, hasBegun) !== routeIdentity(made.sink, made.config, hasBegun)
      );
    });
  }

  #begin(anew: readonly SinkConfig[]): void {
    const config = this.#config;
    const parts = { source: this.#source, store: this.#store, graceMs: () => graceMsOf(this.#config) };
    const names = new Set(config.sinks.map(({ name }) => name));
    this.routes.want(
      names,
      anew.map((sink) => routeOptions(sink, config, this.#world, parts)),
    );
    for (const sink of anew) this.#made.set(sink.name, { sink, config });
    for (const name of this.#made.keys()) {
      if (names.has(name)) continue;
      this.#made.delete(name);
      this.behind.delete(name);
    }
  }
}

function tellOfStart(
  config: Config,
  { observe, version }: World,
  more: { readonly reload: boolean; readonly anew: readonly string[] },
): void {
  const sinks = config.sinks.map(({ name }) => name);
  const pollEveryMs = longestIntervalMs(config.source.schedule);
  observe({ event: 'daemon.start', version, sinks, pollEveryMs, ...more });
}
