import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

// What plug-ins import, with types: `qasphere-siem-forwarder/sink`, and `/testing` for their tests.
const entries = { sink: 'src/sinks/plugin/api.ts', testing: 'src/testing/published.ts' };
const declarations = mkdtempSync(join(tmpdir(), 'types-'));
for (const [name, path] of Object.entries(entries)) {
  const source = join(root, path);
  await build({
    ...bundling,
    entryPoints: [{ in: source, out: name }],
    outdir: join(root, 'dist'),
    external: ['vitest'],
  });
  const flags = [
    '--declaration',
    '--emitDeclarationOnly',
    '--skipLibCheck',
    '--strict',
    '--allowImportingTsExtensions',
  ];
  const target = ['--target', 'esnext', '--module', 'nodenext', '--types', 'node', '--rootDir', join(root, 'src')];
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['--ignoreConfig', ...flags, ...target, '--outDir', declarations, source], { stdio: 'inherit' });
  const types = readFileSync(join(declarations, path.replace(/^src\//, '').replace(/\.ts$/, '.d.ts')), 'utf8');
  writeFileSync(join(root, `dist/${name}.d.ts`), types.replace('../sinks/plugin/api.ts', './sink.js'));
}
rmSync(declarations, { recursive: true });
