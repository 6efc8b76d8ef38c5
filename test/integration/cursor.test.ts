import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { readCheckpoint } from '../support/program.ts';
import { inTerminal, terminalMissing } from '../support/terminal.ts';
import { key, newWorkspace, type Workspace } from '../support/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = newWorkspace();
});
afterEach(() => workspace[Symbol.dispose]());

const console_ = '{ name: console, type: stdout }';
const idsOf = (ndjson: string) =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: number }).id);

it('cursor set goes back, says what that means, and the next run delivers it again', async () => {
  await using simulator = await startSimulator({ events: 300, epochMs: Date.UTC(2026, 0, 1), key });
  workspace.configure(simulator.url, [console_]);
  const first = await workspace.run('once');
  expect(first.code, first.stderr).toBe(0);
  const ids = idsOf(first.stdout);
  const to = ids[199] ?? 0;

  const set = await workspace.run('cursor', 'set', 'console', String(to));
  expect(set.code, set.stderr).toBe(0);
  expect(set.stdout).toContain(`back: 100 events above ${to} up to ${ids[299]} will be delivered to console again`);
  expect(set.stdout).toContain(`the next event for console is ${ids[200]} (20`);
  expect(readCheckpoint(workspace.state, 'console')).toMatchObject({ after: String(to), delivered: [] });
  expect(workspace.operations()).toMatchObject([
    { operation: 'cursor set', uid: process.getuid?.(), from: { id: String(ids[299]) }, to: { id: String(to) } },
  ]);
  const again = await workspace.run('once');
  expect(idsOf(again.stdout)).toEqual(ids.slice(200));
});

it('cursor answers in JSON, ids as strings of digits', async () => {
  await using simulator = await startSimulator({ events: 30, key });
  workspace.configure(simulator.url, [console_]);
  const empty = await workspace.run('cursor', 'list', '--json');
  expect(JSON.parse(empty.stdout)).toEqual([{ sink: 'console', configured: true, state: 'none' }]);
  await workspace.run('once');
  const list = await workspace.run('cursor', 'list', '--json');
  expect(JSON.parse(list.stdout)).toMatchObject([{ sink: 'console', state: 'good', head: String(simulator.lastId()) }]);
  const reset = await workspace.run('cursor', 'reset', 'console', '--json');
  expect(JSON.parse(reset.stdout)).toMatchObject({ operation: 'cursor reset', between: { events: '30' }, done: true });
  expect((await workspace.run('cursor', 'list')).stdout).toMatch(/console +- .*none/);
});

it('cursor moves nothing while a daemon holds the state directory, and lists all the same', async () => {
  await using simulator = await startSimulator({ events: 30, key });
  workspace.configure(simulator.url, [console_]);
  const daemon = workspace.start('run');
  await daemon.until((_, stdout) => idsOf(stdout.slice(0, stdout.lastIndexOf('\n') + 1)).length === 30);
  for (const args of [
    ['set', 'console', '1'],
    ['reset', 'console'],
    ['rename', 'console', 'other'],
  ]) {
    const refused = await workspace.run('cursor', ...args);
    expect(refused.code, args.join(' ')).toBe(75);
    expect(refused.stderr).toContain(`held by process ${daemon.child.pid}`);
  }
  expect((await workspace.run('cursor', 'list')).code).toBe(0);
  expect(workspace.operations().filter(({ operation }) => String(operation).startsWith('cursor'))).toEqual([]);
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});

it('cursor names the nearest sink where it knows none of that name, and refuses what it can not mean', async () => {
  workspace.configure('http://127.0.0.1:1', [console_]);
  const unknown = await workspace.run('cursor', 'set', 'consoel', '1');
  expect(unknown).toMatchObject({ code: 64, stdout: '' });
  expect(unknown.stderr).toContain('did you mean console?');
  for (const args of [
    [],
    ['move'],
    ['set', 'console'],
    ['set', 'console', '1.5'],
    ['set', 'console', '99999999999999999999'],
    ['list', 'console'],
    ['rename', 'console', 'No\u001b[2J'],
    ['rename', 'console', 'console'],
  ]) {
    const refused = await workspace.run('cursor', ...args);
    expect(refused.code, args.join(' ')).toBe(64);
    expect(refused.stderr).not.toContain('\u001b');
  }
});

describe.skipIf(terminalMissing !== undefined)(
  `in a terminal${terminalMissing === undefined ? '' : ` (skipped: ${terminalMissing})`}`,
  () => {
    it.each([
      ['n\n', '0'],
      ['\n', '0'],
      ['\u0003', '0'],
      ['yes\n', '7'],
    ])('cursor asks first: %j', async (answer, after) => {
      workspace.configure('http://127.0.0.1:1', [console_]);
      await workspace.run('cursor', 'set', 'console', '0');
      const args = ['cursor', 'set', 'console', '7', '-c', join(workspace.directory, 'config.yaml')];
      const { code, shown } = await inTerminal(args, '[y/N]', answer);
      expect(code, shown).toBe(0);
      expect(shown).toContain('QA Sphere API unreachable');
      expect(readCheckpoint(workspace.state, 'console').after).toBe(after);
      if (after === '0') expect(shown).toContain('nothing was changed');
    });

    it('cursor does not ask with --yes', async () => {
      workspace.configure('http://127.0.0.1:1', [console_]);
      const args = ['cursor', 'set', 'console', '7', '--yes', '-c', join(workspace.directory, 'config.yaml')];
      const { code, shown } = await inTerminal(args, '[y/N]', '\n');
      expect(code, shown).toBe(0);
      expect(shown).not.toContain('[y/N]');
      expect(readCheckpoint(workspace.state, 'console').after).toBe('7');
    });
  },
);
