import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openState, tenantIdentity } from '../../src/app/open-state.ts';
import { UsageError } from '../../src/cli/command.ts';
import { applyRename, applyReset, applySet } from '../../src/cli/cursor/apply.ts';
import { listCursors } from '../../src/cli/cursor/list-cursors.ts';
import { Lookup } from '../../src/cli/cursor/lookup.ts';
import { planRename, planReset, planSet } from '../../src/cli/cursor/plan.ts';
import type { Config } from '../../src/config/schema.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { CheckpointFiles } from '../../src/state/file/checkpoint-files.ts';
import { type Checkpoint, CheckpointProblem, type StateStore } from '../../src/state/store.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { configOf, load } from '../support/configuration.ts';

const tenant = 'https://acme.eu1.qasphere.com';
const elsewhere = 'https://other.eu1.qasphere.com';
const at = Date.UTC(2026, 10, 24);
const event = (id: number) =>
  `{"id":${id},"user":null,"action":"user.login","createdAt":"${new Date(at + id * 1000).toISOString()}"}`;

let state: string;
let emitted: TelemetryEvent[];
const signals = { graceful: new AbortController().signal, forced: new AbortController().signal };
const ctx = {
  version: '0.0.0',
  env: {},
  emit: (event: TelemetryEvent) => void emitted.push(event),
  now: () => at,
  random: () => 0.5,
  wake: new Notifier(),
};

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'cursor-'));
  emitted = [];
});
afterEach(() => rm(state, { recursive: true, force: true }));

function configured(url: string, startAt = 'beginning'): Config {
  const sinks = 'sinks:\n  - { name: a, type: stdout }\n  - { name: b, type: syslog, address: "udp://127.0.0.1:9" }\n';
  const source = `source: { url: "${url}", apiKey: SIEM-LOG-ONLY-demo, startAt: ${startAt}, requestsPerSecond: 20 }\n`;
  return configOf(load(`${source}state: { directory: "${state}" }\n${sinks}`));
}

const checkpoints = () => join(state, 'checkpoints');
const file = (name: string) => join(checkpoints(), name);
const storeOf = (source = tenant) =>
  new CheckpointFiles({ directory: checkpoints(), source, emit: ctx.emit, now: () => at });
async function save(sink: string, after: bigint, more: Partial<Checkpoint> = {}): Promise<void> {
  const store = storeOf();
  for (const back of [1n, 0n])
    await store.save({ sink, source: tenant, after: after - back, delivered: [], refusedInRow: 0, ...more });
}
/** Does `work` as the owner of the state. */
async function owning<T>(config: Config, work: (store: StateStore) => Promise<T>): Promise<T> {
  await using store = await openState(config, ctx).own(tenantIdentity(config), signals);
  return await work(store);
}
const deaf = (config: Config) => {
  const stop = new AbortController();
  stop.abort(new Error('not asked here'));
  return new Lookup(config, ctx, stop.signal);
};
const planOfSet = (config: Config, sink: string, id: bigint, lookup = deaf(config)) =>
  planSet(config, openState(config, ctx).share(tenantIdentity(config)), sink, id, lookup);
const planOfReset = (config: Config, sink: string, lookup = deaf(config)) =>
  planReset(config, openState(config, ctx).share(tenantIdentity(config)), sink, lookup);
const rows = (config: Config) => listCursors(config, openState(config, ctx).share(tenantIdentity(config)));
const set = (config: Config, sink: string, id: bigint) =>
  owning(config, async (store) => applySet(config, store, await planOfSet(config, sink, id), id));
const renamed = (config: Config, sink: string, to: string) =>
  owning(config, async (store) => {
    const rename = { sink, to, check: await store.checkRename(sink, to) };
    await applyRename(store, await planRename(config, store, rename, deaf(config)), to);
  });
const operations = () =>
  readFileSync(join(state, 'operations.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('a cursor that is set', () => {
  it('replaces both generations, without delivered ids, pending acknowledgements and the newest event', async () => {
    const config = configured(tenant);
    await save('a', 50n, { delivered: [[60n, 70n]], pendingAcks: { open: 1 }, newest: { id: 70n, sha256: 'ab' } });
    await set(config, 'a', 9007199254740993n);
    const expected = { sink: 'a', source: tenant, after: 9007199254740993n, delivered: [], refusedInRow: 0 };
    const store = storeOf();
    expect(await store.load('a')).toEqual(expected);
    await rm(file('a.json'));
    expect(await store.load('a')).toEqual(expected);
    expect(operations()).toMatchObject([
      { operation: 'cursor set', sink: 'a', from: { id: '70', after: '50' }, to: { id: '9007199254740993' } },
    ]);
  });

  it('cures two damaged generations', async () => {
    const config = configured(tenant);
    await save('a', 50n);
    for (const name of ['a.json', 'a.previous.json']) await writeFile(file(name), '{"version":1');
    await expect(storeOf().load('a')).rejects.toThrow(CheckpointProblem);
    await set(config, 'a', 49n);
    expect((await storeOf().load('a'))?.after).toBe(49n);
    expect(operations()[0].from).toEqual({ detail: 'a damaged checkpoint, whose position is unknown' });
  });

  it('takes a checkpoint over from another tenant, and does not count between their ids', async () => {
    await save('a', 50n);
    const config = configured(elsewhere);
    const plan = await planOfSet(config, 'a', 7n);
    expect(plan.from).toMatchObject({ id: 50n, source: tenant });
    expect(plan.between).toBeUndefined();
    expect(plan.consequences.join()).toContain(`belongs to ${tenant} and is taken over to ${elsewhere}`);
    await set(config, 'a', 7n);
    expect((await storeOf(elsewhere).load('a'))?.after).toBe(7n);
  });

  it('leaves a checkpoint of a newer version alone', async () => {
    const config = configured(tenant);
    await save('a', 50n);
    await writeFile(file('a.json'), '{"version":2}\n');
    await expect(set(config, 'a', 1n)).rejects.toThrow(/version 2/);
    await expect(planOfReset(config, 'a')).rejects.toThrow(/version 2/);
    expect(await readFile(file('a.json'), 'utf8')).toBe('{"version":2}\n');
  });

  it('is recorded before it moves, and again if that fails', async () => {
    const config = configured(tenant);
    await owning(config, async (store) => {
      const plan = await planOfSet(config, 'a', 1n);
      await mkdir(file('a.json.tmp'), { recursive: true });
      await expect(applySet(config, store, plan, 1n)).rejects.toThrow(/state directory/);
    });
    expect(operations()).toMatchObject([{ to: { id: '1' } }, { to: { id: '1' }, outcome: 'failed' }]);
  });
});

describe('the plan of a move', () => {
  it('names the events at both ends and counts those between, also if ids have gaps', async () => {
    const ids = [1, 2, 5, 6, 9, 12, 13];
    await using simulator = await startSimulator({ log: ids.map(event), key: 'SIEM-LOG-ONLY-demo' });
    const config = configured(simulator.url);
    const store = storeOf(simulator.url);
    await store.save({ sink: 'a', source: simulator.url, after: 9n, delivered: [[12n, 12n]], refusedInRow: 0 });
    using lookup = new Lookup(config, ctx, new AbortController().signal);
    const back = await planOfSet(config, 'a', 3n, lookup);
    expect(back.from).toMatchObject({ id: 12n, after: 9n, event: { id: 12n, action: 'user.login' } });
    expect(back.to).toMatchObject({ id: 3n, event: { id: 5n } });
    expect(back.between).toEqual({ events: 4n, exact: true, direction: 'back' });
    expect(back.consequences[0]).toBe('back: 4 events above 3 up to 12 will be delivered to a again');
    expect(back.consequences[1]).toContain('the next event for a is 5 (2026-11-24T00:00:05.000Z, user.login)');
    const forward = await planOfSet(config, 'a', 13n, lookup);
    expect(forward.between).toEqual({ events: 1n, exact: true, direction: 'forward' });
    expect(forward.consequences).toContain('there is no newer event yet');
    const beyond = await planOfSet(config, 'a', 5000n, lookup);
    expect(beyond.between).toMatchObject({ events: 4988n, exact: false });
    expect(beyond.consequences.join()).toContain('a gets nothing until there are ids above 5000');
    expect(simulator.requestCount).toBeLessThan(20);
  });

  it('waits out a 429, which a full pace can bring, but not for long', async () => {
    const options = { log: [event(7)], key: 'SIEM-LOG-ONLY-demo' };
    await using simulator = await startSimulator({ ...options, faults: [{ kind: '429', share: 1, times: 1 }] });
    using lookup = new Lookup(configured(simulator.url), ctx, new AbortController().signal);
    expect(await lookup.first(0n)).toMatchObject({ id: 7n });
    simulator.setFaults([{ kind: '429', share: 1 }]);
    expect(await lookup.first(0n)).toBeUndefined();
    expect(lookup.problem).toContain('429');
  });

  it('reports that the source is unreachable, and what is known without it', async () => {
    const config = configured('http://127.0.0.1:1');
    await save('a', 50n, { source: config.source.url });
    using lookup = new Lookup(config, ctx, new AbortController().signal);
    const plan = await planOfSet(config, 'a', 40n, lookup);
    expect(plan.between).toEqual({ events: 10n, exact: false, direction: 'back' });
    expect(plan.consequences.join()).toMatch(/at most 10 events.*API unreachable.*ECONNREFUSED/);
  });

  it('reports the start position of a reset, found by time', async () => {
    const log = Array.from({ length: 3000 }, (_, index) => event(index + 1));
    await using simulator = await startSimulator({ log, key: 'SIEM-LOG-ONLY-demo' });
    const config = configured(simulator.url, new Date(at + 2000_000).toISOString());
    await save('a', 2500n, { source: simulator.url });
    using lookup = new Lookup(config, ctx, new AbortController().signal);
    const plan = await planOfReset(config, 'a', lookup);
    expect(plan.to).toMatchObject({ id: 1999n, event: { id: 2000n } });
    expect(plan.between).toEqual({ events: 501n, exact: true, direction: 'back' });
  });
});

it('a cursor that is reset is gone in both generations, and no other is', async () => {
  const config = configured(tenant);
  await save('a', 50n);
  await save('b', 60n);
  await owning(config, async (store) => applyReset(store, await planOfReset(config, 'a')));
  expect(readdirSync(checkpoints()).sort()).toEqual(['b.json', 'b.previous.json']);
  expect(await storeOf().load('a')).toBeUndefined();
});

describe('a sink that is renamed', () => {
  it('keeps its cursor, everything stored with it and its dead letters', async () => {
    const config = configured(tenant);
    await save('old', 50n, { delivered: [[52n, 53n]], newest: { id: 53n, sha256: 'ab' }, pendingAcks: [1] });
    const before = await storeOf().load('old');
    await mkdir(join(state, 'dead-letter'));
    for (const name of ['old.ndjson', 'old.replay.ndjson', 'old.torn', 'older.ndjson'])
      await writeFile(join(state, 'dead-letter', name), `${name}\n`);
    // A start under the new name leaves an empty one.
    await writeFile(join(state, 'dead-letter', 'a.ndjson'), '');
    await renamed(config, 'old', 'a');
    expect(await storeOf().load('a')).toEqual({ ...before, sink: 'a' });
    expect(readdirSync(checkpoints()).sort()).toEqual(['a.json', 'a.previous.json']);
    expect(readdirSync(join(state, 'dead-letter')).sort()).toEqual([
      'a.ndjson',
      'a.replay.ndjson',
      'a.torn',
      'older.ndjson',
    ]);
    expect(await readFile(join(state, 'dead-letter', 'a.ndjson'), 'utf8')).toBe('old.ndjson\n');
    expect(operations()).toMatchObject([{ operation: 'cursor rename', from: 'old', to: 'a', cursor: { id: '53' } }]);
  });

  it.each(['a.json', 'a.previous.json'])('is refused if %s exists, and nothing is moved', async (name) => {
    const config = configured(tenant);
    await save('old', 50n);
    await save('a', 60n);
    for (const other of ['a.json', 'a.previous.json']) if (other !== name) await rm(file(other));
    const before = readdirSync(checkpoints());
    await expect(renamed(config, 'old', 'a')).rejects.toThrow(/never overwrites/);
    expect(readdirSync(checkpoints())).toEqual(before);
  });

  it('is refused if its dead letters would overwrite others', async () => {
    const config = configured(tenant);
    await save('old', 50n);
    await mkdir(join(state, 'dead-letter'));
    for (const name of ['old.ndjson', 'a.ndjson']) await writeFile(join(state, 'dead-letter', name), `${name}\n`);
    await expect(renamed(config, 'old', 'a')).rejects.toThrow(UsageError);
    expect(existsSync(file('old.json'))).toBe(true);
    expect(await readFile(join(state, 'dead-letter', 'a.ndjson'), 'utf8')).toBe('a.ndjson\n');
  });

  const cutOff: Record<string, () => Promise<void>> = {
    'the generation before is linked': () => link(file('old.previous.json'), file('a.previous.json')),
    'the generation before is moved': () => rename(file('old.previous.json'), file('a.previous.json')),
    'both are moved': async () => {
      await rename(file('old.previous.json'), file('a.previous.json'));
      await rename(file('old.json'), file('a.json'));
    },
  };
  it.each(Object.keys(cutOff))('is completed by the same command after an interruption when %s', async (when) => {
    const config = configured(tenant);
    await save('old', 50n);
    await cutOff[when]?.();
    await renamed(config, 'old', 'a');
    expect((await storeOf().load('a'))?.after).toBe(50n);
    expect(readdirSync(checkpoints()).sort()).toEqual(['a.json', 'a.previous.json']);
  });

  it('is refused without a checkpoint, or with one that can not be read', async () => {
    const config = configured(tenant);
    await expect(renamed(config, 'old', 'a')).rejects.toThrow(/no checkpoint of sink "old"/);
    await save('old', 50n);
    for (const name of ['old.json', 'old.previous.json']) await writeFile(file(name), '');
    await expect(renamed(config, 'old', 'a')).rejects.toThrow(CheckpointProblem);
  });
});

it('the list reports the state of every checkpoint and creates nothing', async () => {
  const config = configured(tenant);
  expect(await rows(config)).toMatchObject([
    { sink: 'a', state: 'none', configured: true },
    { sink: 'b', state: 'none' },
  ]);
  expect(existsSync(checkpoints())).toBe(false);
  await save('a', 50n, { delivered: [[52n, 55n]] });
  await save('b', 60n);
  await writeFile(file('b.json'), 'x');
  await save('foreign', 1n, { source: elsewhere });
  await save('new', 1n);
  await writeFile(file('new.json'), '{"version":3}');
  await save('broken', 1n);
  for (const name of ['broken.json', 'broken.previous.json']) await writeFile(file(name), 'x');
  const listed = await rows(config);
  expect(Object.fromEntries(listed.map((row) => [row.sink, row]))).toMatchObject({
    a: { state: 'good', after: 50n, head: 55n, delivered: 4n, updatedAt: new Date(at).toISOString() },
    b: { state: 'fallback', after: 59n, configured: true },
    foreign: { state: 'other tenant', source: elsewhere, configured: false },
    new: { state: 'newer' },
    broken: { state: 'damaged' },
  });
});
