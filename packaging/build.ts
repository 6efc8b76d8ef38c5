import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

// What plug-ins import: `qasphere-siem-forwarder/sink`, with its types.
const api = join(root, 'src/sinks/plugin/api.ts');
await build({ ...bundling, banner: {}, entryPoints: [{ in: api, out: 'sink' }], outdir: join(root, 'dist') });
const declarations = mkdtempSync(join(tmpdir(), 'types-'));
const tsc = join(root, 'node_modules/.bin/tsc');
execFileSync(tsc, [
  '--ignoreConfig',
  '--declaration',
  '--emitDeclarationOnly',
  '--target',
  'esnext',
  '--outDir',
  declarations,
  api,
]);
copyFileSync(join(declarations, 'api.d.ts'), join(root, 'dist/sink.d.ts'));
rmSync(declarations, { recursive: true });
