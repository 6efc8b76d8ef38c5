import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling, nodeOptions, root, version } from './bundle.ts';

/** Builds one executable with Node inside: `npm run build:binary`. The Node that runs this is the one inside. */
const output = join(root, 'dist', 'qasphere-siem-forwarder');

const work = mkdtempSync(join(tmpdir(), 'forwarder-binary-'));
try {
  const bundle = join(work, 'main.mjs');
  await build({ ...bundling, entryPoints: [join(root, 'src', 'main.ts')], outfile: bundle });

  const node = join(work, 'node');
  copyFileSync(process.execPath, node);
  // A quarter smaller. Must come first: strip damages the finished executable. Without binutils it is left out.
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
      execArgv: nodeOptions,
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
