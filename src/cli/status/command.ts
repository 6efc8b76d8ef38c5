import { openState } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import { sleep } from '../../lib/shutdown.ts';
import { askStatus } from '../../telemetry/status-socket.ts';
import { statusText } from '../../telemetry/status-text.ts';
import { type CliContext, type Command, configFlag } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readConfig, realContext } from '../set-up.ts';
import { jsonLine } from '../table.ts';
import { destinationsOf, readStoredStatus, storedStatusJson, storedStatusText } from './stored-status.ts';

const watchMs = 2_000;

export const statusCommand: Command = {
  summary: 'shows cursors, lag and last error of each sink',
  usage: '[-c FILE] [--json] [--watch] [--ready]',
  flags: {
    config: configFlag,
    json: { type: 'boolean', describes: 'one JSON object instead of a table' },
    watch: { type: 'boolean', describes: 'repeat every 2 s until Ctrl-C' },
    ready: { type: 'boolean', describes: 'print nothing; exit code 0 if the daemon is ready, else 69' },
  },
  notes: 'Asks the running daemon through status.sock in the state directory. If none answers, reads the stored state.',
  async run({ config: file, json, watch, ready }, _, cli) {
    const loaded = await readConfig(file as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { directory } = loaded.config.state;
    if (ready === true) return (await askStatus(directory))?.ready === true ? exitCode.done : exitCode.unreachable;
    for (;;) {
      const text = await statusOf(loaded.config, cli, json === true);
      // Clear the screen between two tables.
      await cli.print(watch === true && json !== true ? `\u001b[H\u001b[2J${text}` : text);
      if (watch !== true) return exitCode.done;
      await sleep(watchMs, cli.signals.graceful);
      if (cli.signals.graceful.aborted) return exitCode.done;
    }
  },
};

async function statusOf(config: Config, cli: CliContext, json: boolean): Promise<string> {
  const answer = await askStatus(config.state.directory);
  if (answer !== undefined) {
    const destinations = destinationsOf(config);
    const sinks = answer.sinks.map((sink) => ({ ...sink, ...destinations.get(sink.name) }));
    const status = { ...answer, sinks };
    return json ? jsonLine({ running: true, ...status }) : statusText(status);
  }
  await using backend = openState(config, realContext(config, cli));
  const stored = await readStoredStatus(config, backend);
  return json ? jsonLine(storedStatusJson(stored)) : storedStatusText(stored);
}
