import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checker } from '../engine/checker.ts';
import { forEachConcurrently, type Row, skipped, Tally } from '../engine/table.ts';
import { isPoison } from '../fixtures/collectors.ts';
import { type Stage, staged } from './state.ts';

/** Operations that fail a few times with the disk's own error, by the preload. */
const faults = ['open', 'write', 'sync', 'rename'].flatMap((op) => [
  { op, part: 'checkpoints', kind: 'HEC' },
  ...(op === 'rename' ? [] : [{ op, part: 'dead-letter', kind: 'HEC, some refused' }]),
]);

/** A disk that fails, is full, or is read-only for a while. */
export async function diskRows(only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const code of ['EIO', 'ENOSPC', 'EROFS']) {
    const scenario = `state: ${code} at each operation, three times`;
    if (!only(scenario)) continue;
    const tally = new Tally(scenario);
    await forEachConcurrently(faults, async ({ op, part, kind }) => {
      // Also opened at startup, where a fault is reported with exit code 73 and not retried.
      if (op === 'open' && part === 'dead-letter') return;
      await staged(kind, async ({ workspace, collector, checker }) => {
        const ended = await workspace.once({ TORTURE_FAULT: `${op}:${part}:${code}:3` });
        const where = `${code} at ${op} in ${part}`;
        if (ended.code !== 0) tally.violation(`ends with ${ended.code} (${where}): ${ended.stderr.slice(-200)}`);
        if (!checker.ids.every(workspace.covers('sink'))) tally.violation(`ends without a whole checkpoint (${where})`);
        const deadLetters = workspace.deadLetters('sink');
        const poison = kind === 'HEC' ? 0 : checker.texts.filter(isPoison).length;
        if (deadLetters.length !== poison)
          tally.violation(`${deadLetters.length} set aside instead of ${poison} (${where})`);
        tally.add(checker.check(await collector.received(), deadLetters), 0, where);
      });
    });
    rows.push(tally.row());
  }
  for (const { name, does } of mounts) {
    const scenario = `state: ${name}`;
    if (!only(scenario)) continue;
    rows.push(
      process.getuid?.() === 0 && process.platform === 'linux'
        ? await mounted(scenario, does)
        : skipped(scenario, 'needs root'),
    );
  }
  return rows;
}

const mounts = [
  { name: 'a full disk (tmpfs) while running, then room', does: fullWhileRunning },
  { name: 'a read-only disk (tmpfs) at the start, then writable', does: readOnlyAtStart },
];

type Does = (stage: Stage, tally: Tally, directory: string) => Promise<void>;

async function mounted(scenario: string, does: Does): Promise<Row> {
  const tally = new Tally(scenario);
  const directory = mkdtempSync(join(tmpdir(), 'torture-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'torture', directory], { stdio: 'ignore' });
  } catch {
    rmSync(directory, { recursive: true, force: true });
    return skipped(scenario, 'tmpfs may not be mounted here');
  }
  try {
    await staged('HEC', (stage) => does(stage, tally, directory), directory);
  } finally {
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  }
  return tally.row();
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const block = Buffer.alloc(4096); ; ) writeSync(file, block);
  } catch {
    closeSync(file);
  }
}

async function fullWhileRunning(
  { workspace, collector, simulator }: Stage,
  tally: Tally,
  directory: string,
): Promise<void> {
  const running = workspace.start(['run']);
  try {
    const until = async (check: () => boolean, what: string) => {
      const deadline = performance.now() + 40_000;
      while (!check()) {
        if (running.child.exitCode !== null || performance.now() > deadline)
          return tally.violation(`${what}: never came`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const checker = () => new Checker(simulator.generated?.page(0n, 1_000) ?? []);
    const isDone = () => checker().ids.every(workspace.covers('sink'));
    await until(isDone, 'everything delivered');
    const filler = join(directory, 'filler');
    fill(filler);
    simulator.append(20);
    await until(() => running.stderr().includes('"event":"checkpoint.retry"'), 'the report of a full disk');
    unlinkSync(filler);
    await until(isDone, 'everything delivered once there is room');
    running.child.kill('SIGTERM');
    const { code } = await running.ended;
    if (code !== 0) tally.violation(`ends with ${code}`);
    tally.add(checker().check(await collector.received()), 0, 'full disk');
  } finally {
    running.child.kill('SIGKILL');
  }
}

async function readOnlyAtStart(
  { workspace, collector, checker }: Stage,
  tally: Tally,
  directory: string,
): Promise<void> {
  execFileSync('mount', ['-o', 'remount,ro', directory]);
  const { code } = await workspace.once();
  if (code !== 73) tally.violation(`ends with ${code} instead of 73`);
  execFileSync('mount', ['-o', 'remount,rw', directory]);
  const again = await workspace.once();
  if (again.code !== 0) tally.violation(`ends with ${again.code} once it can write`);
  tally.add(checker.check(await collector.received()), 0, 'read-only disk');
}
