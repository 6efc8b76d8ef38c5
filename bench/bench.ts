/**
 * npm run bench [-- WORD…] [--docs]: what the built program costs, beside baselines and beside other programs in the same
 * run. WORD: only the scenarios whose names hold one of these. docs/performance.md describes what is measured and how.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeDocs } from './docs.ts';
import { machine } from './figures.ts';
import { failedIn, figureTables, judgementTable, machineText, type Result, skippedIn } from './result.ts';
import type { Outcome } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { settings } from './settings.ts';
import { Bench } from './workspace.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { docs: { type: 'boolean' } } });
const chosen = scenarios.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
const names = scenarios.map(({ name }) => name).join(' ');
if (chosen.length === 0) throw new Error(`there is no such scenario; there are ${names}`);
if (values.docs && positionals.length > 0) throw new Error('--docs wants all scenarios');

const begin = performance.now();
const secondsSince = (ms: number) => Math.round((performance.now() - ms) / 100) / 10;
const at = new Date().toISOString();
const before = machine();
const done: Record<string, Result['scenarios'][string]> = {};
using bench = new Bench(settings);
for (const { name, run } of chosen) {
  const startMs = performance.now();
  const failed = (error: Error): Outcome => ({ group: 'small', rows: [], figures: {}, failed: error.message });
  const outcome = await run(bench).catch(failed);
  done[name] = { ...outcome, seconds: secondsSince(startMs) };
  console.error(`${name}: ${done[name].seconds} s`);
}

const loadAfter = machine().load;
const result: Result = {
  at,
  machine: { ...before, loadAfter },
  settings,
  seconds: secondsSince(begin),
  scenarios: done,
};
const results = fileURLToPath(new URL('results/', import.meta.url));
mkdirSync(results, { recursive: true });
const file = join(results, `${at.replaceAll(':', '-')}.json`);
writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);

console.log(machineText(result));
for (const { title, text } of figureTables(result)) console.log(`\n${title}\n\n${text}`);
const judgements = judgementTable(result);
if (judgements !== '') console.log(`\nTargets\n\n${judgements}`);
const failed = failedIn(result);
for (const one of failed) console.log(`\nfailed: ${one}`);
for (const skipped of skippedIn(result)) console.log(`\nskipped: ${skipped}`);
console.log(`\n${result.seconds} s; as JSON: ${file}`);
if (failed.length > 0) process.exitCode = 1;
else if (values.docs) writeDocs(result);
