import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure, directory } = runs();

/** Why no small file system can be mounted here, or undefined if one can. */
const missing = (() => {
  if (process.getuid?.() !== 0) return 'needs root to mount a tmpfs';
  const probe = join(directory, 'probe');
  mkdirSync(probe);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe]).status !== 0) return 'can mount no tmpfs';
  execFileSync('umount', [probe]);
  return undefined;
})();

describe.skipIf(missing !== undefined)(
  `a state directory${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('that fills up pauses the pipeline until there is room', async () => {
      const state = join(directory, 'small');
      mkdirSync(state);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', state]);
      try {
        await using simulator = await startSimulator({ events: 10, rate: 100, key });
        const { file } = configure(simulator.url, { state });
        const program = startProgram(['run', '-c', file]);
        await program.until((_, stdout) => stdout.split('\n').length > 50);
        const ballast = join(state, 'ballast');
        await fillUntil(ballast, () => /checkpoint.retry.*ENOSPC/.test(program.stderr()));
        // What is in flight still comes out; then nothing follows, however much there is to read.
        const filled = simulator.lastId();
        await eventually(() => simulator.lastId() > filled + 50n);
        const paused = program.stdout().split('\n').length;
        await eventually(() => simulator.lastId() > filled + 250n);
        expect(program.stdout().split('\n').length).toBe(paused);
        rmSync(ballast);
        await program.until((_, stdout) => stdout.split('\n').length > paused + 300);
        program.child.kill('SIGTERM');
        expect(await program.ended, program.stderr()).toBe(0);
        const ids = program.stdout().split('\n').slice(0, -1).map(idOf);
        const expected = (simulator.generated?.page(0n, 100_000) ?? []).map(idOf).slice(0, ids.length);
        expect(ids).toEqual(expected);
      } finally {
        execFileSync('umount', ['-l', state]);
      }
    });

    it.each(['now', 'beginning', '2026-01-01T00:00:00Z'])(
      'that is full delays a sink that a reload adds (startAt: %s), and leaves the others alone',
      async (startAt) => {
        const state = join(directory, `full-${startAt.slice(0, 4)}`);
        mkdirSync(state);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', state]);
        try {
          await using simulator = await startSimulator({ events: 10, rate: 50, key });
          await using hec = await startHecServer();
          const { file } = configure(simulator.url, { state, source: `startAt: "${startAt}"` });
          const program = startProgram(['run', '-c', file]);
          await program.until((_, stdout) => stdout.split('\n').length > 20);
          const ballast = join(state, 'ballast');
          await fillUntil(ballast, () => /checkpoint.retry.*ENOSPC/.test(program.stderr()));
          const added = `  - { name: added, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }\n`;
          writeFileSync(file, `${readFileSync(file, 'utf8')}${added}`);
          program.child.kill('SIGHUP');
          await fillUntil(ballast, () => /checkpoint.retry[^\n]*"sink":"added"/.test(program.stderr()));
          rmSync(ballast);
          await hec.until(() => hec.count > 10);
          const before = program.stdout().length;
          await eventually(() => program.stdout().length > before);
          program.child.kill('SIGTERM');
          expect(await program.ended, program.stderr()).toBe(0);
          const ids = program.stdout().split('\n').slice(0, -1).map(idOf);
          expect(ids).toEqual([...new Set(ids)]);
        } finally {
          execFileSync('umount', ['-l', state]);
        }
      },
    );

    it('that is full at the start is exit code 73', async () => {
      const state = join(directory, 'full-start');
      mkdirSync(state);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', state]);
      try {
        await using simulator = await startSimulator({ events: 10, key });
        const { file } = configure(simulator.url, { state, source: 'startAt: now' });
        const prepared = startProgram(['once', '-c', file]);
        expect(await prepared.ended, prepared.stderr()).toBe(0);
        fill(join(state, 'ballast'));
        writeFileSync(file, readFileSync(file, 'utf8').replace('name: console', 'name: other'));
        for (const command of ['run', 'once']) {
          const program = startProgram([command, '-c', file]);
          expect(await program.ended, program.stderr()).toBe(73);
        }
      } finally {
        execFileSync('umount', ['-l', state]);
      }
    });
  },
);

/** Fills the file system of `path`. */
/** A save that is under way while the disk is filled frees a block when it is done: fills that too. */
async function fillUntil(path: string, condition: () => boolean): Promise<void> {
  await eventually(() => {
    fill(path);
    return condition();
  });
}

function fill(path: string): void {
  try {
    appendFileSync(path, Buffer.alloc(1024 * 1024));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
