/**
 * npm run torture:mutants [-- WORD…]: plants one bug at a time in a copy of the sources and runs the kit on it.
 * Exits with 1 if the kit misses a bug: the kit must be able to fail.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forEachConcurrently } from './engine/table.ts';
import { type Mutation, mutations } from './mutations.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2).map((word) => word.toLowerCase());
const wanted = mutations.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word)),
);

/** Inside the package, so that its dependencies are found. */
const cache = join(root, '.cache');
mkdirSync(cache, { recursive: true });
const results = new Map<string, string>();
let missed = 0;

await forEachConcurrently(wanted, async (mutation) => {
  const directory = mkdtempSync(join(cache, 'mutant-'));
  try {
    const seen = await catches(mutation, directory);
    if (seen === undefined) missed++;
    results.set(mutation.name, seen ?? 'NOT SEEN');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

console.log('| planted bug | seen by |\n| --- | --- |');
for (const { name } of wanted) console.log(`| ${name} | ${results.get(name)} |`);
process.exit(missed > 0 || wanted.length === 0 ? 1 : 0);

/** The first violation; undefined if there is none. @throws if the bug can't be planted */
async function catches({ name, file, from, to, scenarios }: Mutation, directory: string): Promise<string | undefined> {
  cpSync(join(root, 'src'), join(directory, 'src'), { recursive: true });
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  const path = join(directory, 'src', file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${name}: ${file} does not hold what is to be replaced, once`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  const child = spawn(process.execPath, [join(root, 'torture/torture.ts'), ...scenarios], {
    env: {
      ...process.env,
      TORTURE_PROGRAM: join(directory, 'src/main.ts'),
      TORTURE_POINTS: process.env['TORTURE_POINTS'] ?? '24',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk) => (output += chunk));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code === 0) return undefined;
  const seen = /^VIOLATED (.*)$/m.exec(output)?.[1]?.slice(0, 160);
  // A crash of the kit does not count as a detection.
  if (seen === undefined) console.error(`${name}: the kit failed itself: ${output.slice(-500)}`);
  return seen;
}
