import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling, root } from './bundle.ts';

/**
 * dist/: `npm run build`. Bundled, because a program of a thousand small files takes half as long again to start and holds
 * 9 MiB more; split where a command is loaded only when it is asked for. Source maps lie beside, for `--enable-source-maps`.
 */
await build({
  ...bundling,
  entryPoints: [join(root, 'src/main.ts')],
  outbase: join(root, 'src'),
  outdir: join(root, 'dist'),
  splitting: true,
  minify: true,
  // With an error nobody caught Node prints the line it came from.
  lineLimit: 160,
  sourcemap: true,
});
chmodSync(join(root, 'dist/main.js'), 0o755);
