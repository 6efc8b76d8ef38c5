import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling, root } from '../packaging/bundle.ts';

const out = join(root, '.cache/bench');

// The program as it is shipped, but with the rate limiter as an entry of its own: the bench replaces its `acquire`.
await build({
  ...bundling,
  entryPoints: ['main', 'source/rate-limiter'].map((name) => join(root, 'src', `${name}.ts`)),
  outbase: join(root, 'src'),
  outdir: join(out, 'program'),
  splitting: true,
  minify: true,
  keepNames: true,
});
// Plain JavaScript, so that no type stripping is measured.
await build({
  bundle: true,
  entryPoints: ['baseline', 'watch'].map((name) => join(root, `bench/processes/${name}.ts`)),
  outdir: join(out, 'processes'),
  platform: 'node',
  format: 'esm',
  target: bundling.target,
  logLevel: 'warning',
});
