import { once } from '../app/once.ts';
import { parseDuration } from '../lib/options/values.ts';
import { lockState } from '../state/file/lock.ts';
import { prepareState } from '../state/file/state-directory.ts';
import { type Command, configFlag, UsageError } from './command.ts';
import { codeOfEndings, exitCode } from './exit-code.ts';
import { Progress } from './progress.ts';
import { readConfig, realWorld } from './set-up.ts';

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
  async run({ config: file, patience }, _, around) {
    const patienceMs = parseDuration((patience as string | undefined) ?? '2m');
    if (patienceMs === undefined) throw new UsageError('--patience: write a duration such as 30s or 2m');
    const loaded = readConfig(file as string | undefined, around);
    if (loaded === undefined) return exitCode.config;
    const { config, warnings } = loaded;
    using progress = new Progress(around);
    const world = realWorld(config, around, (happening) => progress.observe(happening));
    progress.logWith(world.observe);
    for (const detail of warnings) world.observe({ event: 'daemon.warning', topic: 'configuration', detail });
    around.setShutdownTimeout(config.shutdownTimeout);
    await prepareState(config.state.directory);
    await using _lock = await lockState(config.state.directory, world.now);
    const endings = await once(config, world, around.life, { patienceMs });
    return codeOfEndings(endings);
  },
};
