import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling, root } from './bundle.ts';

/**
 * Builds the program into dist/: `npm run build`. Bundled, because a program of a thousand small files takes half as long
 * again to start and needs 9 MiB more; split, so that a command is loaded only when it is called. Source maps lie beside, for
 * `--enable-source-maps`.
 */
await build({
  ...bundling,
  entryPoints: [join(root, 'src/main.ts')],
  outbase: join(root, 'src'),
  outdir: join(root, 'dist'),
  splitting: true,
  minify: true,
  // For an uncaught error Node prints the whole source line.
  lineLimit: 160,
  sourcemap: true,
});
chmodSync(join(root, 'dist/main.js'), 0o755);
