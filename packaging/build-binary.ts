import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling, root, version } from './bundle.ts';

/** One file with Node inside: `npm run build:binary`. Runs on the Node that is to be inside. */
const output = join(root, 'dist', 'qasphere-siem-forwarder');

const work = mkdtempSync(join(tmpdir(), 'forwarder-binary-'));
try {
  const bundle = join(work, 'main.mjs');
  await build({ ...bundling, entryPoints: [join(root, 'src', 'main.ts')], outfile: bundle });

  const node = join(work, 'node');
  copyFileSync(process.execPath, node);
  // Before, not after: a finished executable does not survive it. A quarter smaller; without binutils it stays as it is.
  spawnSync('strip', ['--strip-unneeded', node]);
  const config = join(work, 'sea.json');
  writeFileSync(
    config,
    JSON.stringify({
      main: bundle,
      mainFormat: 'module',
      output,
      executable: node,
      disableExperimentalSEAWarning: true,
      // node:ffi is experimental; SIGUSR1 would open a debugger to everyone on this host.
      execArgv: ['--disable-warning=ExperimentalWarning', '--disable-sigusr1'],
      execArgvExtension: 'env',
    }),
  );
  mkdirSync(join(root, 'dist'), { recursive: true });
  rmSync(output, { force: true });
  execFileSync(process.execPath, ['--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  const said = execFileSync(output, ['--version'], { encoding: 'utf8' }).trim();
  if (said !== version) throw new Error(`${output} --version says ${said}, not ${version}`);
  console.log(`${output}: ${version}, ${Math.round(statSync(output).size / 1024 ** 2)} MiB`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
