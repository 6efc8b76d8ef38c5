import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { startSimulator } from '../testing/simulator/server.ts';
import type { Command } from './command.ts';
import { runDaemon } from './run.ts';
import { realContext } from './set-up.ts';

const key = 'SIEM-LOG-ONLY-demo';

export const demoCommand: Command = {
  summary: 'run against a simulated API, with records on stdout; needs no key and no configuration',
  usage: '',
  flags: {},
  notes: 'Ctrl-C stops it. Its state is removed at the end.',
  async run(_values, _positionals, cli) {
    await using simulator = await startSimulator({ events: 20, rate: 2, key });
    const directory = await mkdtemp(join(tmpdir(), 'qasphere-siem-forwarder-demo-'));
    try {
      const loaded = loadConfig({
        env: {
          QASPHERE_URL: simulator.url,
          QASPHERE_API_KEY: key,
          STATE_DIRECTORY: directory,
          SCHEDULE: '* * * * * *',
        },
        readFile: () => {
          throw Object.assign(new Error('the demo reads no file'), { code: 'ENOENT' });
        },
      });
      if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('; '));
      return await runDaemon(loaded.config, realContext(loaded.config, cli), cli, async () => undefined);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
