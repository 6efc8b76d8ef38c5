import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockState } from '../../src/state/file/lock.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { type HecServerOptions, startHecServer } from '../support/hec-server.ts';
import { readCheckpoint } from '../support/program.ts';
import { inTerminal, terminalMissing } from '../support/terminal.ts';
import { key, newWorkspace, type Workspace } from '../support/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = newWorkspace();
});
afterEach(() => workspace[Symbol.dispose]());

/** A second, less what a busy machine may be late in looking at a request. */
const windowMs = 900;
const epochMs = Date.UTC(2026, 0, 1);
const checkpoint = () => readFileSync(join(workspace.state, 'checkpoints', 'splunk.json'), 'utf8');
const stdoutIds = (ndjson: string) =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: number }).id);

/** A tenant of so many events, a collector, and one run that brought all of them there. */
async function delivered(events: number, options: HecServerOptions = {}, more = '', source = '') {
  const simulator = await startSimulator({ events, epochMs, key });
  const hec = await startHecServer(options);
  workspace.configure(
    simulator.url,
    [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" ${more} }`],
    source,
  );
  const once = await workspace.run('once');
  expect(once.code, once.stderr).toBe(0);
  const ids = () => hec.events.map(({ raw }) => (JSON.parse(raw.toString()) as { id: number }).id);
  return {
    simulator,
    hec,
    ids,
    async [Symbol.asyncDispose]() {
      await simulator.close();
      await hec[Symbol.asyncDispose]();
    },
  };
}

describe('replay', () => {
  it('delivers a range again, whole and in order, and leaves the checkpoint as it is', async () => {
    await using there = await delivered(2500);
    const first = there.ids();
    expect(first).toHaveLength(2500);
    const before = checkpoint();
    const [after, until] = [first[299], first[2199]];
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', `${after}`, '--until', `${until}`);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toBe('');
    expect(there.ids().slice(2500)).toEqual(first.slice(300, 2200));
    expect(checkpoint()).toBe(before);
    expect(done.stderr).toContain('1900 events were delivered to splunk again');
    expect(workspace.operations()).toMatchObject([
      { operation: 'replay', sink: 'splunk', source: 'log', outcome: 'started', from: `${after}`, to: `${until}` },
      { operation: 'replay', outcome: 'done', delivered: 1900, deadLettered: 0, uid: process.getuid?.() },
    ]);
  });

  it('goes up to the last event the sink has where no end is named, though newer ones are there', async () => {
    await using there = await delivered(300);
    const first = there.ids();
    there.simulator.append(50);
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', `${first[289]}`);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stderr).toContain(`10 events above ${first[289]} up to ${first[299]} are sent to splunk again`);
    expect(there.ids().slice(300)).toEqual(first.slice(290));
  });

  it('takes the filter, redaction and format of the sink', async () => {
    await using there = await delivered(200, {}, ', filter: { exclude: ["user.*"] }, redact: ["ip"]');
    const first = there.hec.events.map(({ raw }) => raw.toString());
    expect(first.length).toBeLessThan(200);
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(done.code, done.stderr).toBe(0);
    expect(there.hec.events.map(({ raw }) => raw.toString()).slice(first.length)).toEqual(first);
    expect(first[0]).toContain('"ip":"[redacted]"');
    expect(done.stderr).toContain(`${200 - first.length} filtered out`);
  });

  it('has an HEC channel of its own', async () => {
    await using there = await delivered(50, { tokenState: 'ack' });
    const journal = (JSON.parse(checkpoint()) as { journal?: unknown }).journal;
    const used = new Set(there.hec.requests.map(({ channel }) => channel));
    const seen = there.hec.requests.length;
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(done.code, done.stderr).toBe(0);
    const own = new Set(there.hec.requests.slice(seen).flatMap(({ channel }) => channel ?? []));
    expect(own.size).toBeGreaterThan(0);
    for (const channel of own) expect(used.has(channel)).toBe(false);
    expect((JSON.parse(checkpoint()) as { journal?: unknown }).journal).toEqual(journal);
  });

  it('sets aside in a file of its own, an event once however often it is replayed', async () => {
    let refuses = false;
    const refuse = (raw: Buffer) => (refuses && raw.includes('"action":"user.login"') ? 6 : undefined);
    await using there = await delivered(60, { refuse });
    const all = there.hec.events.map(({ raw }) => JSON.parse(raw.toString()) as { id: number; action: string });
    const bad = all.filter(({ action }) => action === 'user.login').map(({ id }) => id);
    expect(bad.length).toBeGreaterThan(0);
    refuses = true;
    for (const round of [1, 2]) {
      const done = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
      expect(done.code, done.stderr).toBe(0);
      expect(done.stderr, `round ${round}`).toContain(`${bad.length} rejected, see dead-letter/splunk.replay.ndjson`);
    }
    const aside = workspace.lines('dead-letter/splunk.replay.ndjson').map(({ event }) => (event as { id: number }).id);
    expect(aside).toEqual(bad);
    expect(workspace.lines('dead-letter/splunk.ndjson')).toEqual([]);
  });

  it('sends again what was set aside, byte for byte, and leaves the dead letter as it is', async () => {
    let refuses = true;
    const refuse = (raw: Buffer) => (refuses && raw.includes('"action":"user.login"') ? 6 : undefined);
    await using there = await delivered(60, { refuse });
    const before = readFileSync(join(workspace.state, 'dead-letter', 'splunk.ndjson'), 'utf8');
    const events = workspace.lines('dead-letter/splunk.ndjson').map(({ event }) => event as { id: number });
    expect(events.length).toBeGreaterThan(0);
    refuses = false;
    const had = there.hec.count;
    // A second line about the same event is one event; what is no line is told of.
    const path = join(workspace.state, 'dead-letter', 'splunk.ndjson');
    const [line] = before.split('\n');
    const doubled = `${before}${line}\nno json\n`;
    writeFileSync(path, doubled, { mode: 0o600 });
    const done = await workspace.run('replay', '--sink', 'splunk', '--dead-letter');
    expect(done.code, done.stderr).toBe(0);
    const texts = there.simulator.generated?.page(0n, 1000) ?? [];
    const expected = texts.filter((text) => text.includes('"action":"user.login"'));
    expect(there.hec.events.slice(had).map(({ raw }) => raw.toString())).toEqual(expected);
    expect(readFileSync(path, 'utf8')).toBe(doubled);
    expect(done.stderr).toContain('1 lines of');
    expect(workspace.operations().at(-1)).toMatchObject({
      source: 'dead letter',
      outcome: 'done',
      delivered: events.length,
    });
  });

  it('runs beside a daemon, and then asks at most 5 times in any second', async () => {
    await using there = await delivered(300, {}, '', ', pageSize: 10');
    // The daemon polls at its cursor or above, the replay below it.
    const polled = BigInt(readCheckpoint(workspace.state, 'splunk').after);
    const daemon = workspace.start('run');
    await daemon.until((stderr) => stderr.includes('pipeline.start'));
    const before = there.simulator.requestCount;
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(done.code, done.stderr).toBe(0);
    expect(done.stderr).toContain(`held by process ${daemon.child.pid}`);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
    expect(there.ids()).toHaveLength(600);
    const times = there.simulator.requests
      .slice(before - there.simulator.requestCount)
      .filter(({ after = 0n, count }) => count === 10 && after < polled)
      .map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThanOrEqual(29);
    const busiest = times.map((start) => times.filter((at) => at >= start && at < start + windowMs).length);
    expect(Math.max(...busiest)).toBeLessThanOrEqual(5);
  });

  it('slows down when a daemon is started beside it', async () => {
    await using there = await delivered(300, {}, '', ', pageSize: 10');
    const before = there.simulator.requestCount;
    const running = workspace.start('replay', '--sink', 'splunk', '--after', '0');
    await there.hec.until(() => there.hec.count > 330);
    const lock = await lockState(workspace.state, Date.now);
    const heldMs = performance.now();
    expect(await running.ended, running.stderr()).toBe(0);
    await lock[Symbol.asyncDispose]();
    const times = there.simulator.requests.slice(before - there.simulator.requestCount).map(({ atMs }) => atMs);
    // One that was asked for already may follow.
    const slow = times.filter((at) => at > heldMs).slice(1);
    expect(slow.length).toBeGreaterThan(6);
    const busiest = slow.map((start) => slow.filter((at) => at >= start && at < start + windowMs).length);
    expect(Math.max(...busiest)).toBeLessThanOrEqual(5);
  });

  it('writes to standard output where the sink does', async () => {
    await using simulator = await startSimulator({ events: 20, epochMs, key });
    workspace.configure(simulator.url, ['{ name: console, type: stdout }']);
    const ids = stdoutIds((await workspace.run('once')).stdout);
    const done = await workspace.run('replay', '--sink', 'console', '--after', `${ids[9]}`);
    expect(stdoutIds(done.stdout)).toEqual(ids.slice(10));
  });

  it('gives up a sink that refuses it with 69, and says how to go on', async () => {
    await using there = await delivered(30);
    there.hec.tokenState = 'disabled';
    const done = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(done.code).toBe(69);
    const last = there.ids().at(-1);
    expect(done.stderr).toContain(
      `events up to 0 are done; continue with: replay --sink splunk --after 0 --until ${last}`,
    );
    expect(workspace.operations().at(-1)).toMatchObject({ outcome: 'given-up', delivered: 0, reached: '0' });
    there.simulator.setKey('another');
    const refused = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(refused.code).toBe(77);
  });

  it('stopped by SIGTERM confirms what is in flight and says how to go on; nothing is missing then', async () => {
    await using there = await delivered(300, {}, ', batch: { maxEvents: 10 }', ', pageSize: 10, requestsPerSecond: 5');
    const first = there.ids();
    const running = workspace.start('replay', '--sink', 'splunk', '--after', '0');
    await there.hec.until(() => there.hec.count > 330);
    running.child.kill('SIGTERM');
    expect(await running.ended).toBe(0);
    const rest = /continue with: replay (.*)/.exec(running.stderr())?.[1]?.split(' ') ?? [];
    expect(rest[3]).toMatch(/^\d+$/);
    expect(workspace.operations().at(-1)).toMatchObject({ outcome: 'stopped', reached: rest[3] });
    const went = await workspace.run('replay', ...rest);
    expect(went.code, went.stderr).toBe(0);
    expect(there.ids().slice(300)).toEqual(first);
  });

  it.skipIf(terminalMissing !== undefined)('shows a bar in a terminal, and asks first', async () => {
    await using there = await delivered(300, {}, '', ', pageSize: 10');
    const args = ['replay', '--sink', 'splunk', '--after', '0', '-c', join(workspace.directory, 'config.yaml')];
    const refused = await inTerminal(args, '[y/N]', 'n\n');
    expect(refused).toMatchObject({ code: 0, shown: expect.stringContaining('nothing was sent') });
    expect(there.hec.count).toBe(300);
    const { code, shown } = await inTerminal(args, '[y/N]', 'y\n');
    expect(code, shown).toBe(0);
    expect(shown).toMatch(/\[#+\.+\] [1-9]\d?% {2}at 20[^\r]* splunk \d+ \(\d+\/s\)/);
    expect(there.hec.count).toBe(600);
  });

  it('refuses what it can not mean', async () => {
    workspace.configure('http://127.0.0.1:1', ['{ name: console, type: stdout }']);
    for (const [args, says] of [
      [['--after', '1'], '--sink'],
      [['--sink', 'console'], '--after'],
      [['--sink', 'consol', '--after', '1'], 'did you mean console?'],
      [['--sink', 'console', '--after', '5', '--until', '5'], '--until must be greater'],
      [['--sink', 'console', '--after', 'x'], 'in digits'],
      [['--sink', 'console', '--after', '5'], 'use --until'],
    ] as const) {
      const refused = await workspace.run('replay', ...args);
      expect(refused.code, args.join(' ')).toBe(64);
      expect(refused.stderr).toContain(says);
    }
    const none = await workspace.run('replay', '--sink', 'console', '--dead-letter');
    expect(none.code).toBe(0);
    expect(none.stderr).toContain('there are no dead letters of console');
  });

  it('does not take the ids of another tenant for its own', async () => {
    await using there = await delivered(20);
    workspace.configure('http://127.0.0.1:1', [
      `{ name: splunk, type: splunk-hec, url: "${there.hec.url}", token: x }`,
    ]);
    const refused = await workspace.run('replay', '--sink', 'splunk', '--after', '0');
    expect(refused.code).toBe(78);
    expect(refused.stderr).toContain('another tenant');
  });
});
