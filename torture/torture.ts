/**
 * npm run torture [-- WORD…]: attacks what the product promises of delivery and prints what came of it; with words only
 * the scenarios whose names hold one of them. Ends with 1 where a promise was broken.
 *
 * TORTURE_POINTS=N   points of death a kind of sink (8; all: 100000)
 * TORTURE_HISTORIES=N   random schedules (4), with the seeds from TORTURE_SEED on
 * TORTURE_SEED=N     repeats a run with the points, faults and histories of that seed
 */
import { killRows } from './kill.ts';
import { Place } from './place.ts';
import { promiseRows } from './promises.ts';
import { scheduleRows } from './schedules.ts';
import { Secrets } from './secrets.ts';
import { stateRows } from './state.ts';
import { type Row, table } from './table.ts';

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const only = (name: string) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word));
const seed = Number(process.env['TORTURE_SEED'] ?? Math.floor(Math.random() * 1e6));
const points = Number(process.env['TORTURE_POINTS'] ?? 8);
const histories = Number(process.env['TORTURE_HISTORIES'] ?? 4);

const startedMs = performance.now();
const rows: Row[] = [];
const secrets = new Secrets();
Place.onEnd = secrets.search;
const parts = [
  () => promiseRows(only),
  () => scheduleRows({ histories, seed }, only),
  () => stateRows(only),
  () => killRows({ points, seed }, only),
];
for (const part of parts) rows.push(...(await part()));
if (rows.length > 0) rows.push(secrets.row());

console.log(table(rows));
for (const { scenario, violations } of rows)
  for (const violation of violations.slice(0, 10)) console.log(`VIOLATED ${scenario}: ${violation}`);
console.log(`seed ${seed}, ${Math.round((performance.now() - startedMs) / 1000)} s`);
process.exit(rows.some(({ violations }) => violations.length > 0) || rows.length === 0 ? 1 : 0);
