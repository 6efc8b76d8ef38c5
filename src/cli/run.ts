import type { Context } from '../app/compose.ts';
import { announceConfiguration, announceStart, heartbeatsOf } from '../app/heartbeats.ts';
import { run } from '../app/run.ts';
import { SdNotify } from '../app/sd-notify.ts';
import { openTelemetry, telemetrySettings } from '../app/telemetry.ts';
import { watchdogStatusOf } from '../app/watchdog-status.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { Notifier } from '../lib/notifier.ts';
import { lockState } from '../state/file/lock.ts';
import { prepareState } from '../state/file/state-directory.ts';
import { type CliContext, type Command, configFlag } from './command.ts';
import { codeOfEndings, exitCode } from './exit-code.ts';
import { type RealContext, readConfig, realContext } from './set-up.ts';

export const runCommand: Command = {
  summary: 'the daemon: polls on schedule and delivers to every sink',
  usage: '[-c FILE]',
  flags: { config: configFlag },
  notes: 'SIGTERM and SIGINT drain and stop; a second one stops at once. SIGHUP reads the configuration again.',
  async run({ config: file }, _, cli) {
    const loaded = readConfig(file as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const ctx = realContext(loaded.config, cli);
    for (const detail of loaded.warnings) ctx.emit({ event: 'daemon.warning', topic: 'configuration', detail });
    return runDaemon(loaded.config, ctx, cli, () => reload(file as string | undefined, loaded.config, ctx, cli));
  },
};

/** Runs until a signal, a reload at each SIGHUP; gives the exit code. `next` gives the configuration to go on with. */
export async function runDaemon(
  first: Config,
  outside: RealContext,
  cli: CliContext,
  next: () => Config | undefined,
): Promise<number> {
  const { signals, hangup } = cli;
  await prepareState(first.state.directory);
  await using _ = await lockState(first.state.directory, outside.now);
  await using telemetry = openTelemetry(outside, first);
  const vitals = watchdogStatusOf(telemetry.health);
  using supervisor = await SdNotify.open({ env: outside.env, pid: process.pid, stop: signals.graceful, vitals });
  const ctx: Context = {
    ...outside,
    // Whoever waits tries again once what a SIGHUP brings is in force.
    wake: new Notifier(),
    emit: (happening) => {
      outside.emit(happening);
      telemetry.handle(happening);
      supervisor.emit(happening);
    },
  };
  if (supervisor.problem !== undefined)
    ctx.emit({ event: 'daemon.warning', topic: 'systemd', detail: supervisor.problem });
  await telemetry.serve(first.state.directory);
  telemetry.heartbeats.apply(heartbeatsOf(first));
  await using reloads = new Reloads(hangup, () => {
    const config = supervisor.reload(next);
    if (config === undefined) ctx.wake.notify();
    return config;
  });
  await using _started = await announceStart(telemetry.heartbeats, first.state.directory, outside);
  const { endings, pending } = await run(first, { ...ctx, heartbeats: telemetry.heartbeats }, signals, {
    next: (stop) => reloads.next(stop),
    async apply(config) {
      cli.setShutdownTimeout(config.shutdownTimeout);
      outside.setLogLevel(config.log.level);
      await telemetry.apply(telemetrySettings(config, outside.env));
      telemetry.heartbeats.apply(heartbeatsOf(config));
      announceConfiguration(telemetry.heartbeats, config);
    },
  });
  ctx.emit({ event: 'daemon.stopped', pending });
  // Stopped by a signal it did what it was told, whatever became of a closed pipe before.
  return codeOfEndings(signals.graceful.aborted ? endings.filter(({ kind }) => kind !== 'gone') : endings);
}

/** Reads the configuration anew at each SIGHUP, also while an older one is still being put in place. */
class Reloads implements AsyncDisposable {
  readonly #over = new AbortController();
  readonly #came = new Notifier();
  readonly #listening: Promise<void>;
  #next: Config | undefined;

  constructor(hangup: Notifier, read: () => Config | undefined) {
    this.#listening = hangup.each(
      this.#over.signal,
      () => {
        const next = read();
        if (next === undefined) return;
        this.#next = next;
        this.#came.notify();
      },
      'start',
    );
  }

  /** The newest configuration that was not taken yet, once there is one; undefined when `stop` fires. */
  async next(stop: AbortSignal): Promise<Config | undefined> {
    while (!stop.aborted) {
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined) return next;
      await this.#came.wait(stop);
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#listening;
  }
}

/** A valid new configuration, or undefined where the old one stays. */
function reload(file: string | undefined, now: Config, ctx: Context, { env }: CliContext): Config | undefined {
  const loaded = loadConfig({ file, env });
  const warn = (detail: string) => ctx.emit({ event: 'daemon.warning', topic: 'reload', detail });
  if (!loaded.ok) {
    for (const problem of loaded.problems) warn(`the old configuration stays: ${formatProblem(problem)}`);
    return undefined;
  }
  const { config } = loaded;
  const fixed = {
    url: config.source.url !== now.source.url,
    directory: config.state.directory !== now.state.directory,
  };
  if (fixed.url) warn('source.url has changed: that needs a restart, the old one stays until then');
  if (fixed.directory) warn('state.directory has changed: that needs a restart, the old one stays until then');
  for (const detail of loaded.warnings) warn(detail);
  return { ...config, source: { ...config.source, url: now.source.url }, state: now.state };
}
