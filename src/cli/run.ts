import { reloadConfig, supervise } from '../app/supervisor.ts';
import type { Config } from '../config/schema.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { type CliContext, type Command, configFlag } from './command.ts';
import { codeOfOutcomes, exitCode } from './exit-code.ts';
import { type RealContext, readConfig, realContext } from './set-up.ts';

export const runCommand: Command = {
  summary: 'run the daemon: poll on schedule and deliver to every sink',
  usage: '[-c FILE]',
  flags: { config: configFlag },
  notes: 'SIGTERM and SIGINT drain and stop; a second one stops at once. SIGHUP reloads the configuration.',
  async run({ config: file }, _, cli) {
    const path = file as string | undefined;
    const loaded = await readConfig(path, cli);
    if (loaded === undefined) return exitCode.config;
    const { config, warnings } = loaded;
    const ctx = realContext(config, cli);
    for (const detail of warnings) ctx.emit({ event: 'daemon.warning', topic: 'configuration', detail });
    return runDaemon(config, ctx, cli, (emit) => reloadConfig(path, config, cli.env, emit));
  },
};

/** Runs until a signal. `reload` returns the configuration to change to at a SIGHUP. @returns the exit code */
export async function runDaemon(
  config: Config,
  ctx: RealContext,
  { signals, hangup, setShutdownTimeout }: CliContext,
  reload: (emit: Emit) => Promise<Config | undefined>,
): Promise<number> {
  const { setLogLevel } = ctx;
  const { pipelines } = await supervise(config, ctx, signals, { hangup, reload, setShutdownTimeout, setLogLevel });
  // Exit code 69 is for `check`, `once` and `replay`: a daemon ends with 0 when the reader of its records goes away.
  return codeOfOutcomes(pipelines.filter(({ kind }) => kind !== 'failed'));
}
