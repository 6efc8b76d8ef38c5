import { type Loaded, loadConfigWithPlugins } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { Notifier } from '../lib/notifier.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { Context } from './context.ts';
import { announceConfiguration, announceStart, heartbeatsOf } from './heartbeats.ts';
import { openState, tenantIdentity } from './open-state.ts';
import { SdNotify, watchdogStatusOf } from './sd-notify.ts';
import { openTelemetry, telemetrySettings } from './telemetry.ts';
import { type Outcome, type Reloads, runTenant } from './tenant.ts';

/** What the daemon needs of its process. */
export interface DaemonOptions {
  /** Notified at each SIGHUP, from the start of the process. */
  readonly hangup: Notifier;
  /** Reads the configuration again; undefined: the old one stays, for a reason that was reported to `emit`. */
  readonly reload: (emit: Emit) => Promise<Config | undefined>;
  setShutdownTimeout(ms: number): void;
  setLogLevel(level: Config['log']['level']): void;
}

/**
 * The daemon: owns the state, runs the tenant's pipelines beside telemetry and systemd's notifications, and reloads the
 * configuration at SIGHUP. Returns when `signals.graceful` has fired and everything in flight is confirmed or dropped.
 * @throws {StateLocked} @throws {StateProblem} @throws {CheckpointProblem} @throws a bug
 */
export async function supervise(
  first: Config,
  outside: Context,
  signals: ShutdownSignals,
  options: DaemonOptions,
): Promise<Outcome> {
  // State is opened before telemetry, which reports what happens to it later.
  let emit: Emit = outside.emit;
  await using backend = openState(first, { now: outside.now, emit: (event) => emit(event) });
  await using store = await backend.own(tenantIdentity(first), signals);
  await using telemetry = openTelemetry(outside, first, store);
  const watchdog = watchdogStatusOf(telemetry.health);
  using notify = await SdNotify.open({ env: outside.env, pid: process.pid, stop: signals.graceful, watchdog });
  emit = (event) => {
    outside.emit(event);
    telemetry.handle(event);
    notify.handle(event);
  };
  // Notified when a reload is in force, so that whatever waits tries with the new configuration.
  const wake = new Notifier();
  const ctx: Context = { ...outside, wake, emit, heartbeats: telemetry.heartbeats };
  if (notify.problem !== undefined) emit({ event: 'daemon.warning', topic: 'systemd', detail: notify.problem });
  await telemetry.serve(first.state.directory);
  telemetry.heartbeats.apply(heartbeatsOf(first));
  await using reloads = new HangupReloads(options.hangup, async () => {
    const config = await notify.reload(() => options.reload(emit));
    if (config === undefined) wake.notify();
    return config;
  });
  const apply = async (config: Config) => {
    options.setShutdownTimeout(config.shutdownTimeout);
    options.setLogLevel(config.log.level);
    await telemetry.apply(telemetrySettings(config, outside.env));
    telemetry.heartbeats.apply(heartbeatsOf(config));
    announceConfiguration(telemetry.heartbeats, config);
  };
  await using _started = await announceStart(telemetry.heartbeats, store, outside);
  await apply(first);
  const { graceful } = signals;
  const onStop = () => emit({ event: 'daemon.stopping', signal: (graceful.reason as Error).message });
  if (graceful.aborted) onStop();
  else graceful.addEventListener('abort', onStop);
  const outcome = await runTenant(first, store, ctx, signals, { next: (stop) => reloads.next(stop), apply });
  graceful.removeEventListener('abort', onStop);
  emit({ event: 'daemon.stopped', pending: outcome.pending });
  return outcome;
}

/** Reads the configuration at each SIGHUP, also while the one before is still being applied. */
class HangupReloads implements Pick<Reloads, 'next'>, AsyncDisposable {
  readonly #over = new AbortController();
  readonly #changed = new Notifier();
  readonly #listening: Promise<void>;
  #next: Config | undefined;

  constructor(hangup: Notifier, read: () => Promise<Config | undefined>) {
    const onHangup = async () => {
      const next = await read();
      if (next === undefined) return;
      this.#next = next;
      this.#changed.notify();
    };
    this.#listening = hangup.each(this.#over.signal, onHangup, 'start');
  }

  async next(stop: AbortSignal): Promise<Config | undefined> {
    while (!stop.aborted) {
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined) return next;
      await this.#changed.wait(stop);
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#listening;
  }
}

/**
 * The configuration of `file` as a reload of `running`, without what only a restart changes; undefined if it is invalid,
 * with a warning for each problem.
 */
export async function reloadConfig(
  file: string | undefined,
  running: Config,
  env: Context['env'],
  emit: Emit,
): Promise<Config | undefined> {
  const warn = (detail: string) => emit({ event: 'daemon.warning', topic: 'reload', detail });
  const loaded: Loaded = await loadConfigWithPlugins({ file, env });
  if (!loaded.ok) {
    for (const problem of loaded.problems) warn(`the old configuration stays: ${formatProblem(problem)}`);
    return undefined;
  }
  const { config, warnings } = loaded;
  const { url } = running.source;
  if (config.source.url !== url) warn('source.url has changed: restart to apply it, until then the old one is used');
  if (config.state.directory !== running.state.directory)
    warn('state.directory has changed: restart to apply it, until then the old one is used');
  for (const detail of warnings) warn(detail);
  return { ...config, source: { ...config.source, url }, state: running.state };
}
