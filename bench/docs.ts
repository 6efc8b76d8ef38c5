/**
 * Writes a result into docs/performance.md, between its markers, and draws docs/performance.svg beside it: after
 * `npm run bench -- --docs`, or from stored results with `npx node bench/docs.ts FILE…`: of a scenario that several hold the
 * last counts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { plot } from './plot/plot.ts';
import { figureTables, judgementTable, machineText, type Result, skippedIn } from './result.ts';

const path = (name: string) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));

/** Puts `content` between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. @throws where `text` has no such pair */
export function between(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from === -1 || to < from) throw new Error(`there is no ${open} … ${close}`);
  return `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`;
}

export function writeDocs(result: Result): void {
  const tables = figureTables(result).map(({ title, text }) => `### ${title}\n\n${text}`);
  const skipped = skippedIn(result).map((one) => `- not measured here: ${one}`);
  let text = readFileSync(path('performance.md'), 'utf8');
  text = between(text, 'machine', machineText(result));
  text = between(text, 'targets', judgementTable(result));
  text = between(text, 'figures', [...tables, ...(skipped.length === 0 ? [] : [skipped.join('\n')])].join('\n\n'));
  writeFileSync(path('performance.md'), text);
  writeFileSync(path('performance.svg'), plot(result));
}

/** The first result, with the scenarios that later ones measured again. */
function merged([first, ...later]: readonly Result[]): Result {
  if (first === undefined) throw new Error('which FILE?');
  return { ...first, scenarios: Object.assign({}, first.scenarios, ...later.map(({ scenarios }) => scenarios)) };
}

if (import.meta.main)
  writeDocs(merged(process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')) as Result)));
