import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { within } from '../core/life.ts';
import type { World } from '../daemon/compose.ts';
import { lockState } from '../daemon/lock.ts';
import { Notify } from '../daemon/notify.ts';
import { run } from '../daemon/run.ts';
import { prepareState } from '../daemon/state-directory.ts';
import { openTelemetry, wantedTelemetry } from '../daemon/telemetry.ts';
import { longestIntervalMs } from '../daemon/ticks.ts';
import { vitalsOf } from '../daemon/vitals.ts';
import { type Command, configFlag, type Surroundings } from './command.ts';
import { codeOfEndings, exitCode } from './exit-code.ts';
import { readConfig, realWorld } from './set-up.ts';

export const runCommand: Command = {
  summary: 'the daemon: polls on schedule and delivers to every sink',
  usage: '[-c FILE]',
  flags: { config: configFlag },
  notes: 'SIGTERM and SIGINT drain and stop; a second one stops at once. SIGHUP reads the configuration again.',
  async run({ config: file }, _, around) {
    const loaded = readConfig(file as string | undefined, around);
    if (loaded === undefined) return exitCode.config;
    const world = realWorld(loaded.config, around);
    for (const detail of loaded.warnings) world.observe({ event: 'daemon.warning', topic: 'configuration', detail });
    return runDaemon(loaded.config, world, around, () =>
      reload(file as string | undefined, loaded.config, world, around),
    );
  },
};

/** Runs until a signal, a reload at each SIGHUP; gives the exit code. `next` gives the configuration to go on with. */
export async function runDaemon(
  first: Config,
  outside: World,
  around: Surroundings,
  next: () => Config | undefined,
): Promise<number> {
  const { life, hangup } = around;
  await prepareState(first.state.directory);
  await using _ = await lockState(first.state.directory, outside.now);
  await using telemetry = openTelemetry(outside, first);
  const vitals = vitalsOf(telemetry.health);
  using supervisor = await Notify.open({ env: outside.env, pid: process.pid, stop: life.stop, vitals });
  const world: World = {
    ...outside,
    observe: (happening) => {
      outside.observe(happening);
      telemetry.observe(happening);
      supervisor.observe(happening);
    },
  };
  if (supervisor.problem !== undefined)
    world.observe({ event: 'daemon.warning', topic: 'systemd', detail: supervisor.problem });
  await telemetry.serve(first.state.directory);
  let config = first;
  for (let again = false; ; again = true) {
    around.setShutdownTimeout(config.shutdownTimeout);
    await telemetry.apply(wantedTelemetry(config, outside.env));
    const sinks = config.sinks.map(({ name }) => name);
    const pollEveryMs = longestIntervalMs(config.source.schedule);
    world.observe({ event: 'daemon.start', version: world.version, sinks, pollEveryMs, reload: again });
    const generation = within(life);
    let following: Config | undefined;
    const listening = (async () => {
      while (!generation.stop.aborted && following === undefined) {
        await hangup.wait(generation.stop);
        if (!generation.stop.aborted) following = supervisor.reload(next);
      }
      generation.end();
    })();
    let ended: Awaited<ReturnType<typeof run>>;
    try {
      ended = await run(config, again ? { ...world, restrictionKnown: true } : world, generation);
    } finally {
      generation.end();
      await listening;
    }
    const { endings, behind } = ended;
    const code = codeOfEndings(endings);
    if (code === exitCode.done && following !== undefined && !life.stop.aborted) {
      config = following;
      continue;
    }
    world.observe({ event: 'daemon.stopped', behind });
    return code;
  }
}

/** A valid new configuration, or undefined where the old one stays. */
function reload(file: string | undefined, now: Config, world: World, { env }: Surroundings): Config | undefined {
  const loaded = loadConfig({ file, env });
  const warn = (detail: string) => world.observe({ event: 'daemon.warning', topic: 'reload', detail });
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
