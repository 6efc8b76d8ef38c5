import { catchUpTenant } from '../app/once.ts';
import { openState, tenantIdentity } from '../app/open-state.ts';
import { type Command, configFlag, patienceFlag, patienceMsOf } from './command.ts';
import { codeOfOutcomes, exitCode } from './exit-code.ts';
import { Progress } from './progress.ts';
import { readConfig, realContext } from './set-up.ts';

export const onceCommand: Command = {
  summary: 'catch every sink up with the newest event, then exit',
  usage: '[-c FILE] [--patience DURATION]',
  flags: { config: configFlag, patience: patienceFlag },
  notes: 'For cron jobs and first imports. Exit code 69 if a source or sink was given up.',
  async run({ config: file, patience }, _, cli) {
    const patienceMs = patienceMsOf(patience);
    const loaded = await readConfig(file as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config, warnings } = loaded;
    using progress = new Progress(cli);
    const ctx = realContext(config, cli, (event) => progress.handle(event));
    progress.logWith(ctx.emit);
    for (const detail of warnings) ctx.emit({ event: 'daemon.warning', topic: 'configuration', detail });
    cli.setShutdownTimeout(config.shutdownTimeout);
    await using backend = openState(config, ctx);
    await using store = await backend.own(tenantIdentity(config), cli.signals);
    return codeOfOutcomes(await catchUpTenant(config, store, ctx, cli.signals, { patienceMs }));
  },
};
