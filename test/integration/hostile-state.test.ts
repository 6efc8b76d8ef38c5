import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startProgram } from '../support/program.ts';
import { key, runs } from '../support/runs.ts';

const { configure } = runs();

describe('a state directory in which something is not what it should be', () => {
  it.each<[string, (state: string) => void]>([
    ['a checkpoint that is a link', (state) => linkInstead(join(state, 'checkpoints', 'console.json'))],
    ['a checkpoint that is a directory', (state) => directoryInstead(join(state, 'checkpoints', 'console.json'))],
    ['a directory of checkpoints that is a link', (state) => linkInstead(join(state, 'checkpoints'))],
    ['a directory of checkpoints that is a file', (state) => fileInstead(join(state, 'checkpoints'))],
    ['a dead letter that is a link', (state) => linkInstead(join(state, 'dead-letter', 'console.ndjson'))],
    ['a dead letter that is a directory', (state) => directoryInstead(join(state, 'dead-letter', 'console.ndjson'))],
    ['a directory of dead letters that is a link', (state) => linkInstead(join(state, 'dead-letter'))],
    ['a directory where the holder of the lock is named', (state) => mkdirSync(join(state, 'lock.json'))],
  ])('%s ends the start with 73, with the path named and nothing delivered', async (_, spoil) => {
    await using simulator = await startSimulator({ events: 10, key });
    const { file, state } = configure(simulator.url);
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    spoil(state);
    const program = startProgram(['once', '-c', file]);
    expect(await program.ended, program.stderr()).toBe(73);
    expect(program.stderr()).toContain(state);
    expect(program.stderr()).not.toContain('internal error');
    expect(program.stdout()).toBe('');
  });

  it('keeps all in it to its owner, whatever the umask', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    const { file, state } = configure(simulator.url);
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    const modes = readdirSync(state, { recursive: true }).map((name) => {
      const entry = lstatSync(join(state, String(name)));
      return [String(name), entry.mode & 0o777, entry.isDirectory() ? 0o700 : 0o600] as const;
    });
    expect(modes.length).toBeGreaterThan(3);
    for (const [name, mode, expected] of modes) expect(mode, name).toBe(expected);
  });
});

function linkInstead(path: string): void {
  renameSync(path, `${path}.elsewhere`);
  symlinkSync(`${path}.elsewhere`, path);
}

function directoryInstead(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

function fileInstead(path: string): void {
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
}
