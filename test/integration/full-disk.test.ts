import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure, directory } = runs();

/** Why no small file system can be mounted here, or undefined where it can. */
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
    it('that fills up pauses the route, and all goes on when there is room', async () => {
      const state = join(directory, 'small');
      mkdirSync(state);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', state]);
      try {
        await using simulator = await startSimulator({ events: 10, rate: 100, key });
        const { file } = configure(simulator.url, { state });
        const program = startProgram(['run', '-c', file]);
        await program.until((_, stdout) => stdout.split('\n').length > 50);
        const ballast = join(state, 'ballast');
        try {
          writeFileSync(ballast, Buffer.alloc(1024 * 1024));
        } catch {
          // Full, as it should be.
        }
        await program.until((stderr) => /checkpoint.retry.*ENOSPC/.test(stderr));
        // What was on its way is out soon; then nothing follows, however much there is to read.
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
  },
);
