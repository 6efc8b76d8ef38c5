/**
 * A child process that executes histories one after another, with real servers on loopback. Its standard output is a file,
 * read as the stdout sink's collector; its standard error is another. It talks to its parent over IPC.
 */
import { ftruncateSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Prng } from '../../src/testing/simulator/prng.ts';
import { play } from './history.ts';
import { prepare, runInProcess } from './in-process.ts';
import type { Plan } from './plan.ts';

await prepare();
const [out = ''] = process.argv.slice(2);

process.on('message', async (plan: Plan) => {
  const prng = new Prng().aim(plan.seed, 99);
  Math.random = () => prng.share();
  ftruncateSync(1);
  try {
    const outcome = await play(
      plan,
      (workspace, killAt) => runInProcess(['once', '--patience', '60s', '-c', workspace.config], killAt),
      { prepare: (workspace) => symlinkSync(out, join(workspace.directory, 'out.ndjson')), level: 'info' },
    );
    process.send?.({ outcome });
  } catch (error) {
    process.send?.({ failure: (error as Error).stack });
  }
});
process.send?.({ ready: true });
