import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../engine/compile.ts';
import { forEachConcurrently, type Row, skipped, Tally } from '../engine/table.ts';
import { isPoison } from '../fixtures/collectors.ts';
import { staged } from './state.ts';

interface Case {
  readonly op: 'write' | 'fsync' | 'rename' | 'link' | 'open';
  /** Of the path. */
  readonly part: string;
  readonly what: 'EIO' | 'ENOSPC' | 'SHORT' | 'TORN';
  readonly times: number;
}

const toState = (part: string, ops: readonly Case['op'][]): Case[] => [
  ...ops.map((op): Case => ({ op, part, what: 'EIO', times: 3 })),
  { op: 'write', part, what: 'ENOSPC', times: 3 },
  { op: 'write', part, what: 'SHORT', times: 1_000 },
  { op: 'write', part, what: 'TORN', times: 2 },
];

/** By the collector's kind; standard output is a file here. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  'HEC': toState('checkpoints', ['write', 'fsync', 'rename', 'link', 'open']),
  'HEC, some refused': toState('dead-letter', ['write', 'fsync']),
  'stdout file': toState('out.ndjson', ['write']),
}; // biome-ignore format: a table
const pageSize = 40;

/** Disk faults in the system calls, injected by a library loaded with LD_PRELOAD. */
export async function preloadRows(only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  const wanted = Object.keys(cases).filter((kind) => only(scenarioOf(kind)));
  if (wanted.length === 0) return rows;
  const directory = mkdtempSync(join(tmpdir(), 'torture-preload-'));
  try {
    const library = join(directory, 'ld-preload.so');
    const why = compile('../fixtures/ld-preload.c', library);
    for (const kind of wanted)
      rows.push(why === undefined ? await row(kind, library, directory) : skipped(scenarioOf(kind), why));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return rows;
}

const scenarioOf = (kind: string) => `below Node: EIO, ENOSPC, short and torn writes: ${kind}`;

async function row(kind: string, library: string, directory: string): Promise<Row> {
  const tally = new Tally(scenarioOf(kind));
  let bit = 0;
  await forEachConcurrently(cases[kind] ?? [], async ({ op, part, what, times }) => {
    const where = `${what} at ${op} in ${part}`;
    await staged(kind, async ({ workspace, collector, checker }) => {
      const log = join(directory, `${op}-${part}-${what}`);
      const env = {
        LD_PRELOAD: library,
        TORTURE_DISK_FAULT: `${op}:${part}:${what}:${times}`,
        TORTURE_DISK_FAULT_LOG: log,
      };
      const { code, stderr } = await workspace.start(['once', '--patience', '30s'], env, []).ended;
      const hits = readFileSync(log, 'utf8').length;
      bit += hits;
      if (hits === 0) tally.violation(`never met: nothing is shown (${where})`);
      if (code !== 0) tally.violation(`ends with ${code} (${where}): ${stderr.slice(-200)}`);
      if (!checker.ids.every(workspace.covers('sink'))) tally.violation(`ends without a whole checkpoint (${where})`);
      const deadLetters = workspace.deadLetters('sink');
      const poison = kind.includes('refused') ? checker.texts.filter(isPoison).length : 0;
      if (deadLetters.length !== poison)
        tally.violation(`${deadLetters.length} set aside instead of ${poison} (${where})`);
      // A batch that standard output took in part comes again, whole.
      const most = kind === 'stdout file' && what !== 'SHORT' ? pageSize * times : 0;
      tally.add(checker.check(await collector.received(), deadLetters), most, where);
    });
  });
  tally.bound(`0${kind === 'stdout file' ? ', batches taken in part' : ''}; ${bit} faults met`);
  return tally.row();
}
