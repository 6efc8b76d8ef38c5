import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { stop } from '../support/reload.ts';
import { key, runs } from '../support/runs.ts';

const { configure, directory } = runs();
const dayMs = 86_400_000;

/** A module that shifts the wall clock of the process at SIGUSR2, and says so; the monotonic clock goes on. */
function clockThatJumps(ms: number): string {
  const file = join(directory, `jump-${ms}.mjs`);
  writeFileSync(
    file,
    `const RealDate = Date;
let shiftMs = 0;
globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shiftMs);
    else super(...args);
  }
  static now() { return RealDate.now() + shiftMs; }
};
process.on('SIGUSR2', () => { shiftMs = ${ms}; process.stderr.write('jumped\\n'); });
`,
  );
  return pathToFileURL(file).href;
}

describe('the daemon', () => {
  it.each([
    ['a year forward', 365 * dayMs],
    ['a year back', -365 * dayMs],
    ['an hour back', -3_600_000],
  ])('polls on, no more often than before, when the clock jumps %s', async (_, ms) => {
    await using simulator = await startSimulator({ events: 5, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file], { env: { NODE_OPTIONS: `--import=${clockThatJumps(ms)}` } });
    await eventually(() => simulator.requestCount > 3);
    program.child.kill('SIGUSR2');
    await program.until((stderr) => stderr.includes('jumped'));
    const jumpedMs = performance.now();
    const before = simulator.requestCount;
    await eventually(() => simulator.requestCount > before + 5);
    // A poll a second, with up to three requests each, and one more for the jump.
    const polls = (performance.now() - jumpedMs) / 1_000 + 2;
    expect(simulator.requestCount - before).toBeLessThanOrEqual(polls * 3);
    await stop(program);
  });
});
