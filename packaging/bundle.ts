import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions, Plugin } from 'esbuild';

export const root = join(import.meta.dirname, '..');
const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
export const { version } = about;

/** What is bundled need not look for its package.json. */
const fixedVersion: Plugin = {
  name: 'fixed-version',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/]version\.ts$/ }, () => ({
      contents: `export const version = ${JSON.stringify(version)};`,
      loader: 'js',
    }));
  },
};

/** How the program and what it needs become few files, whoever runs them. */
export const bundling = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  // Of the oldest Node the package takes.
  target: 'node26',
  // CommonJS dependencies ask for Node's modules with require.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
  plugins: [fixedVersion],
  legalComments: 'eof',
  logLevel: 'warning',
} as const satisfies BuildOptions;
