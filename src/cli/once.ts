import { once } from '../app/once.ts';
import { parseDuration } from '../lib/options/values.ts';
import { lockState } from '../state/file/lock.ts';
import { prepareState } from '../state/file/state-directory.ts';
import { type Command, configFlag, UsageError } from './command.ts';
import { codeOfEndings, exitCode } from './exit-code.ts';
import { Progress } from './progress.ts';
import { readConfig, realContext } from './set-up.ts';

export const onceCommand: Command = {
  summary: 'every sink catches up with the newest event, then exit',
  usage: '[-c FILE] [--patience DURATION]',
  flags: {
    config: configFlag,
    patience: {
      type: 'string',
      value: 'DURATION',
      describes: 'a source or sink without progress for so long is given up while the others finish (2m)',
    },
  },
  notes: 'For cron jobs and first imports. Exit code 69 where something was given up.',
  async run({ config: file, patience }, _, cli) {
    const patienceMs = parseDuration((patience as string | undefined) ?? '2m');
    if (patienceMs === undefined) throw new UsageError('--patience: write a duration such as 30s or 2m');
    const loaded = readConfig(file as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config, warnings } = loaded;
    using progress = new Progress(cli);
    const ctx = realContext(config, cli, (happening) => progress.emit(happening));
    progress.logWith(ctx.emit);
    for (const detail of warnings) ctx.emit({ event: 'daemon.warning', topic: 'configuration', detail });
    cli.setShutdownTimeout(config.shutdownTimeout);
    await prepareState(config.state.directory);
    await using _lock = await lockState(config.state.directory, ctx.now);
    const endings = await once(config, ctx, cli.signals, { patienceMs });
    return codeOfEndings(endings);
  },
};
