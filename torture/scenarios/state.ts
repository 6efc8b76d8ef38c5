import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Simulator, startSimulator } from '../../src/testing/simulator/server.ts';
import { Checker } from '../engine/checker.ts';
import { forEachConcurrently, type Row, Tally } from '../engine/table.ts';
import { key, Workspace } from '../engine/workspace.ts';
import { type Collector, kinds } from '../fixtures/collectors.ts';
import { byteRow } from './checkpoint-bytes.ts';
import { diskRows } from './disk.ts';

const first = 120;
const more = 40;
const pageSize = 40;

/** A sink that has had `first` events, and `more` that wait for the next start. */
export interface Stage {
  readonly workspace: Workspace;
  readonly collector: Collector;
  readonly simulator: Simulator;
  readonly checker: Checker;
  readonly newest: string;
  readonly previous: string;
}

/** Sets the stage for one case. */
export async function staged(kind: string, work: (stage: Stage) => Promise<void>, parent?: string): Promise<void> {
  await using simulator = await startSimulator({ events: first, key, requestsPerSecond: Number.POSITIVE_INFINITY });
  using workspace = new Workspace(parent);
  const opened = await kinds[kind]?.open({ directory: workspace.directory });
  if (opened === undefined) throw new Error(`no collector is called ${kind}`);
  await using collector = opened;
  workspace.configure({
    url: simulator.url,
    pageSize,
    sinks: { sink: collector.entry },
    more: ', schedule: "* * * * * *", settle: 1s',
  });
  const { code, stderr } = await workspace.once();
  if (code !== 0) throw new Error(`the stage can't be set, it ends with ${code}: ${stderr.slice(-300)}`);
  simulator.append(more);
  const checker = new Checker(simulator.generated?.page(0n, first + more) ?? []);
  const [newest, previous] = ['sink.json', 'sink.previous.json'].map((name) => join(workspace.checkpoints, name));
  if (newest === undefined || previous === undefined) throw new Error('no checkpoint has a name');
  await work({ workspace, collector, simulator, checker, newest, previous });
}

interface Case {
  readonly name: string;
  readonly does: (stage: Stage) => void;
  /** Exit code of the next start. */
  readonly code: number;
  /** Duplicates allowed; 0 if nothing may be sent at all. */
  readonly bound: number;
}

const cut = (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 60));

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[30] = (bytes[30] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** A whole checkpoint with a member changed, its checksum good. */
function forge(path: string, change: (text: string) => string): void {
  const body = `${readFileSync(path, 'utf8').replace(/,"checksum":"[0-9a-f]{64}"\}\n?$/, '')}}`;
  const text = change(body);
  const checksum = createHash('sha256').update(text).digest('hex');
  writeFileSync(path, `${text.slice(0, -1)},"checksum":"${checksum}"}\n`);
}

const cases: readonly Case[] = [
  { name: 'newest checkpoint cut off', does: ({ newest }) => cut(newest), code: 0, bound: pageSize },
  { name: 'newest checkpoint with a flipped bit', does: ({ newest }) => flip(newest), code: 0, bound: pageSize },
  { name: 'newest checkpoint missing', does: ({ newest }) => rmSync(newest), code: 0, bound: pageSize },
  { name: 'generation before cut off', does: ({ previous }) => cut(previous), code: 0, bound: 0 },
  {
    name: 'both checkpoints damaged',
    does({ newest, previous }) {
      cut(newest);
      flip(previous);
    },
    code: 78,
    bound: 0,
  },
  {
    name: "another tenant's checkpoint",
    does: ({ newest }) =>
      forge(newest, (text) => text.replace(/"source":"[^"]*"/, '"source":"https://other.eu1.qasphere.com"')),
    code: 78,
    bound: 0,
  },
  {
    name: 'checkpoint of a newer version',
    does: ({ newest }) => forge(newest, (text) => text.replace(/"version":\d+/, '"version":9')),
    code: 78,
    bound: 0,
  },
  { name: 'state open to everyone', does: ({ workspace }) => chmodSync(workspace.state, 0o777), code: 73, bound: 0 },
  {
    name: 'state lost altogether',
    does: ({ workspace }) => rmSync(workspace.state, { recursive: true }),
    code: 0,
    bound: first,
  },
];

/** Attacks on what outlives the process. */
export async function stateRows(only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  const bytes = 'state: every byte of a checkpoint cut off, every bit flipped';
  if (only(bytes)) rows.push(await byteRow(bytes));
  const wanted = cases.filter(({ name }) => only(`state: ${name}`));
  const found = new Map<string, Row>();
  await forEachConcurrently(wanted, async ({ name, does, code, bound }) => {
    const scenario = `state: ${name}`;
    const tally = new Tally(scenario, String(bound));
    await staged('HEC', async (stage) => {
      const { workspace, collector, checker } = stage;
      does(stage);
      const [before, had] = [snapshot(workspace), (await collector.received()).length];
      const ended = await workspace.once();
      if (ended.code !== code)
        tally.violation(`ends with ${ended.code} instead of ${code}: ${ended.stderr.slice(-200)}`);
      if (code === 0) return tally.add(checker.check(await collector.received()), bound, name);
      if (snapshot(workspace) !== before) tally.violation('touched what a person must look at');
      if ((await collector.received()).length !== had) tally.violation('sent something all the same');
      tally.run();
    });
    found.set(name, tally.row());
  });
  rows.push(...wanted.flatMap(({ name }) => found.get(name) ?? []));
  const two = 'state: two processes';
  if (only(two)) rows.push(await twoProcesses(two));
  return [...rows, ...(await diskRows(only))];
}

const snapshot = ({ checkpoints }: Workspace): string =>
  (existsSync(checkpoints) ? readdirSync(checkpoints) : [])
    .sort()
    .map((name) => `${name} ${readFileSync(join(checkpoints, name), 'utf8')}`)
    .join('\n');

async function twoProcesses(scenario: string): Promise<Row> {
  const tally = new Tally(scenario);
  await staged('HEC', async ({ workspace, collector, checker }) => {
    const running = workspace.start(['run']);
    while (!checker.ids.every(workspace.covers('sink')) && running.child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const { code } = await workspace.once();
    if (code !== 75) tally.violation(`the second ends with ${code} instead of 75`);
    running.child.kill('SIGTERM');
    const ended = await running.ended;
    if (ended.code !== 0) tally.violation(`the first ends with ${ended.code} instead of 0`);
    tally.add(checker.check(await collector.received()), 0, 'two processes');
  });
  return tally.row();
}
