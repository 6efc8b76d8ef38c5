/**
 * npm run torture [-- WORD…]: attacks the product's delivery promises and prints the results. With words, it runs
 * only the scenarios whose names contain one of them. Exits with 1 if a promise was broken.
 *
 * npm run torture -- seed N        runs the history of one seed; if it fails, shrinks it
 * npm run torture -- shrink N      the same
 * npm run torture -- plan JSON     replays a printed history, once in-process and once as a separate process
 *
 * npm run torture:short (--short)  a selection that takes under two minutes on two cores
 *
 * TORTURE_POINTS=N   kill points per kind of sink (8; all: 100000)
 * TORTURE_HISTORIES=N   random histories within a process (100), with the seeds from TORTURE_SEED on
 * TORTURE_PROCESSES=N   random histories with processes that are killed (4)
 * TORTURE_SEED=N     repeats a run with the points, faults and histories of that seed
 */

import { replayHistory } from './engine/replay-history.ts';
import { Secrets } from './engine/secrets.ts';
import { type Row, table } from './engine/table.ts';
import { Workspace } from './engine/workspace.ts';
import { namespaceRows } from './fixtures/namespaces.ts';
import { clockRows } from './scenarios/clock.ts';
import { killRows } from './scenarios/kill.ts';
import { preloadRows } from './scenarios/ld-preload.ts';
import { networkRows } from './scenarios/network.ts';
import { promiseRows } from './scenarios/promises.ts';
import { historyRows } from './scenarios/random-histories.ts';
import { stateRows } from './scenarios/state.ts';

const given = process.argv.slice(2);
const one = await replayHistory(given);
if (one !== undefined) process.exit(one);

/** For every change: each kind of attack and of sink that differs, with few points. */
const short = [
  'refused:', 'late events', 'random histories', 'network: reset', 'network: answers', 'network: half-open', 'a real network: what comes back', 'a real network: stuck',
  'state: every byte', 'state: newest', 'state: both', 'below node', 'back by ten seconds',
  'step: stdout', 'step: hec', 'step: syslog relp', 'step: s3', 'step: elastic',
]; // biome-ignore format: a list
const isShort = given[0] === '--short';
const words = isShort ? short : given.map((word) => word.toLowerCase());
const only = (name: string) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word));
const numberOf = (name: string, usual: number) => Number(process.env[name] ?? usual);
const seed = numberOf('TORTURE_SEED', Math.floor(Math.random() * 1e6));
const points = numberOf('TORTURE_POINTS', isShort ? 5 : 8);
const histories = numberOf('TORTURE_HISTORIES', isShort ? 40 : 100);
const processes = numberOf('TORTURE_PROCESSES', isShort ? 2 : 4);

const startedMs = performance.now();
const rows: Row[] = [];
const secrets = new Secrets();
Workspace.onEnd = secrets.search;
/** These scenarios mostly wait, so they run in parallel. */
const waiting = async () =>
  (
    await Promise.all([
      promiseRows(only),
      clockRows(only),
      namespaceRows(only),
      networkRows({ points, seed }, only),
      historyRows({ histories, processes, seed }, only),
    ])
  ).flat();
const parts = [waiting, () => stateRows(only), () => preloadRows(only), () => killRows({ points, seed }, only)];
for (const part of parts) rows.push(...(await part()));
if (rows.length > 0) rows.push(secrets.row());

console.log(table(rows));
for (const { scenario, violations } of rows)
  for (const violation of violations.slice(0, 10)) console.log(`VIOLATED ${scenario}: ${violation}`);
console.log(`seed ${seed}, ${Math.round((performance.now() - startedMs) / 1000)} s`);
process.exit(rows.some(({ violations }) => violations.length > 0) || rows.length === 0 ? 1 : 0);
