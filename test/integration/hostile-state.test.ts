import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure } = runs();

describe('a state directory with something unexpected in it', () => {
  it.each<[string, (state: string) => void]>([
    ['a checkpoint that is a link', (state) => linkInstead(join(state, 'checkpoints', 'console.json'))],
    ['a checkpoint that is a directory', (state) => directoryInstead(join(state, 'checkpoints', 'console.json'))],
    ['a directory of checkpoints that is a link', (state) => linkInstead(join(state, 'checkpoints'))],
    ['a directory of checkpoints that is a file', (state) => fileInstead(join(state, 'checkpoints'))],
    ['a dead letter that is a link', (state) => linkInstead(join(state, 'dead-letter', 'console.ndjson'))],
    ['a dead letter that is a directory', (state) => directoryInstead(join(state, 'dead-letter', 'console.ndjson'))],
    ['a directory of dead letters that is a link', (state) => linkInstead(join(state, 'dead-letter'))],
    ['a directory in place of lock.json', (state) => mkdirSync(join(state, 'lock.json'))],
  ])('%s ends the start with 73, names the path and delivers nothing', async (_, spoil) => {
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

  it('is readable for its owner only, whatever the umask', async () => {
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

it.each([
  ['an impossible time', '{"version":1,"operations":0,"aliveAtMs":1e300}'],
  ['garbage', '\u0000\u0001'],
])('a feed.json with %s costs a warning, and nothing else', async (_, text) => {
  await using simulator = await startSimulator({ events: 10, key });
  const { file, state } = configure(simulator.url, { sinks: ['{ name: console, type: stdout, heartbeat: 1h }'] });
  expect(await startProgram(['once', '-c', file]).ended).toBe(0);
  writeFileSync(join(state, 'feed.json'), text);
  const program = startProgram(['run', '-c', file]);
  await program.until((stderr) => /feed\.json is damaged/.test(stderr));
  await program.until((_stderr, stdout) => stdout.includes('forwarder.started'));
  program.child.kill('SIGTERM');
  expect(await program.ended, program.stderr()).toBe(0);
  expect(JSON.parse(readFileSync(join(state, 'feed.json'), 'utf8'))).toMatchObject({ version: 1 });
  expect(readFileSync(join(state, 'feed.json.damaged'), 'utf8')).toBe(text);
});

it('several first starts at once end with 0 or, if another instance runs, with 75', async () => {
  await using simulator = await startSimulator({ events: 10, key });
  for (let round = 0; round < 3; round++) {
    const { file } = configure(simulator.url);
    const codes = await Promise.all(Array.from({ length: 4 }, () => startProgram(['once', '-c', file]).ended));
    expect(codes).toContain(0);
    for (const code of codes) expect([0, 75]).toContain(code);
  }
});

it('checkpoints removed while the daemon runs are written again, and no event is delivered twice after a kill', async () => {
  await using simulator = await startSimulator({ events: 10, rate: 50, key });
  const { file, state } = configure(simulator.url);
  const out = join(state, '..', 'out.ndjson');
  const program = startProgram(['run', '-c', file], { stdoutFile: out });
  const lines = () => program.stdout().split('\n').slice(0, -1);
  await eventually(() => lines().length > 20);
  renameSync(join(state, 'checkpoints'), `${state}-removed`);
  const before = lines().length;
  await eventually(() => lines().length > before + 100);
  expect(existsSync(join(state, 'checkpoints', 'console.json'))).toBe(true);
  program.child.kill('SIGKILL');
  await program.ended;
  const killed = lines().length;
  const again = startProgram(['once', '-c', file], { stdoutFile: out });
  expect(await again.ended, again.stderr()).toBe(0);
  const ids = again.stdout().split('\n').slice(0, -1).map(idOf);
  // The batch in flight at the kill may come again; a start from nothing would deliver everything again.
  expect(ids.length - new Set(ids).size).toBeLessThan(killed - 50);
  expect([...new Set(ids)].length).toBeGreaterThanOrEqual(killed);
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
