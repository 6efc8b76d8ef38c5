import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { key, newWorkspace, type Workspace } from '../support/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = newWorkspace();
});
afterEach(() => workspace[Symbol.dispose]());

it('status reads the disk if no daemon runs, and writes nothing', async () => {
  const refuse = (raw: Buffer) => (raw.includes('"action":"user.login"') ? 6 : undefined);
  await using simulator = await startSimulator({ events: 60, epochMs: Date.UTC(2026, 0, 1), key });
  await using hec = await startHecServer({ refuse });
  const sinks = [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`];
  workspace.configure(simulator.url, sinks);
  const before = await workspace.run('status', '--json');
  expect(before.code, before.stderr).toBe(0);
  expect(JSON.parse(before.stdout)).toMatchObject({ running: false, sinks: [{ name: 'splunk', state: 'none' }] });
  expect(existsSync(workspace.state)).toBe(false);

  expect((await workspace.run('once')).code).toBe(0);
  const aside = workspace.lines('dead-letter/splunk.ndjson').length;
  expect(aside).toBeGreaterThan(0);
  writeFileSync(join(workspace.state, 'dead-letter', 'splunk.replay.ndjson'), '{}\n{}\ntorn');
  const after = await workspace.run('status', '--json');
  const [sink] = (JSON.parse(after.stdout) as { sinks: Record<string, unknown>[] }).sinks;
  expect(sink).toMatchObject({
    state: 'good',
    last: String(simulator.lastId()),
    deadLetters: aside,
    deadLettersOfReplay: 2,
    destination: hec.url,
  });
  const text = await workspace.run('status');
  expect(text.code).toBe(0);
  expect(text.stdout).toContain(`no daemon is running in ${workspace.state}`);
  expect(text.stdout).toMatch(new RegExp(`splunk +good .*${simulator.lastId()} .*20\\d\\d-.* ${aside + 2}\n`));
  expect(text.stdout).toContain(`  splunk: to ${hec.url}\n`);
});

it('status reports what is wrong with a checkpoint, and its output holds no control sequence', async () => {
  workspace.configure('http://127.0.0.1:1', ['{ name: console, type: stdout }']);
  mkdirSync(join(workspace.state, 'checkpoints'), { recursive: true });
  for (const name of ['console.json', 'foreign.json'])
    writeFileSync(join(workspace.state, 'checkpoints', name), '\u001b[2J', { mode: 0o600 });
  const { code, stdout } = await workspace.run('status');
  expect(code).toBe(0);
  expect(stdout).toMatch(/console +damaged/);
  expect(stdout).toMatch(/foreign +damaged, not configured/);
  expect(stdout).not.toContain('\u001b');
});

it('status --ready exits with 69 and no output if no daemon answers, and with 0 if one is ready', async () => {
  await using simulator = await startSimulator({ events: 10, key });
  workspace.configure(simulator.url, ['{ name: console, type: stdout }']);
  expect(await workspace.run('status', '--ready')).toEqual({ code: 69, stdout: '', stderr: '' });
  const daemon = workspace.start('run');
  await daemon.until((_, stdout) => stdout.split('\n').length > 10);
  await expect.poll(async () => (await workspace.run('status', '--ready')).code, { timeout: 30_000 }).toBe(0);
  const live = await workspace.run('status', '--json');
  expect(JSON.parse(live.stdout)).toMatchObject({
    running: true,
    pid: daemon.child.pid,
    sinks: [{ name: 'console', destination: 'standard output' }],
  });
  expect((await workspace.run('status')).stdout).toMatch(/console +ok .*\n {4}to standard output\n/);
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});
