import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
}

/** The licences of everything else in the executable: the texts of the locked packages. */
export function licences(root: string): string {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const { node } = process.versions;
  return [
    `Node.js ${node} and what it holds: https://github.com/nodejs/node/blob/v${node}/LICENSE\n`,
    ...shipped.map(([path, { version, license = 'see below' }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      const texts = readdirSync(join(root, path))
        .filter((file) => /^licen[cs]e/i.test(file))
        .map((file) => readFileSync(join(root, path, file), 'utf8').trim());
      return [`${'='.repeat(100)}\n${name} ${version} (${license})\n`, ...texts].join('\n');
    }),
    '',
  ].join('\n');
}
