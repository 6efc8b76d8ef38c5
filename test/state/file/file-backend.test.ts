import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf, exitCode } from '../../../src/cli/exit-code.ts';
import { retryStorage } from '../../../src/pipeline/retry-storage.ts';
import { FileBackend } from '../../../src/state/file/file-backend.ts';
import { type Checkpoint, Fenced, StateLocked, StateProblem, type StateStore } from '../../../src/state/store.ts';
import { auditEvent } from '../../support/audit-events.ts';

const origin = 'https://acme.eu1.qasphere.com';
const tenant = { name: 'acme', origin };
const checkpoint = (after: bigint): Checkpoint => ({
  sink: 'a',
  source: origin,
  after,
  delivered: [],
  refusedInRow: 0,
});
const letter = (id: bigint) => ({ sink: 'a', reason: 'malformed: x', event: auditEvent(`{"id":${id}}`, id) });

let parent: string;
let state: string;
let warnings: string[];
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'state-'));
  state = join(parent, 'state');
  warnings = [];
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const file = (name: string) => join(state, name);
const backend = (restoreEveryMs = 3_600_000) =>
  new FileBackend({
    directory: state,
    emit: (event) => event.event === 'daemon.warning' && warnings.push(event.detail),
    now: Date.now,
    restoreEveryMs,
  });
const own = (restoreEveryMs?: number) => backend(restoreEveryMs).own(tenant);
const afterOnDisk = () => JSON.parse(readFileSync(file('checkpoints/a.json'), 'utf8')).after;
async function removeCheckpoints(store: StateStore): Promise<void> {
  await store.save(checkpoint(1n));
  await store.save(checkpoint(2n));
  // At once: a file that is created again meanwhile would not be removed.
  await rename(file('checkpoints'), join(parent, 'removed'));
}

describe('checkpoints that another program removes while the process runs', () => {
  it('are created again by the next save', async () => {
    await using store = await own();
    await removeCheckpoints(store);
    await store.save(checkpoint(3n));
    expect(afterOnDisk()).toBe('3');
  });

  it('are created again from memory without a save', async () => {
    await using store = await own(10);
    await removeCheckpoints(store);
    await expect.poll(() => existsSync(file('checkpoints/a.json'))).toBe(true);
    expect(afterOnDisk()).toBe('2');
    expect(warnings).toEqual([expect.stringMatching(/a\.json was removed .* written again/)]);
  });

  it('are created again at the end, also if they were only loaded', async () => {
    {
      await using store = await own();
      await store.save(checkpoint(5n));
    }
    {
      await using store = await own();
      await store.load('a');
      await rm(file('checkpoints'), { recursive: true });
    }
    expect(afterOnDisk()).toBe('5');
  });

  it('are there for a reload, which would start from nothing without them', async () => {
    await using store = await own();
    await removeCheckpoints(store);
    expect((await store.load('a'))?.after).toBe(2n);
    expect(afterOnDisk()).toBe('2');
  });

  it('stay removed after a reset', async () => {
    {
      await using store = await own();
      await store.save(checkpoint(1n));
      await store.remove('a');
    }
    expect(readdirSync(file('checkpoints'))).toEqual([]);
  });
});

it('dead letters and the operations log are written after their files and folders were removed', async () => {
  await using store = await own();
  const letters = store.deadLetters('a');
  await letters.open(0n);
  await letters.append(letter(1n));
  await rm(file('dead-letter'), { recursive: true });
  await letters.append(letter(2n));
  expect(await letters.count()).toBe(1);
  await rm(state, { recursive: true });
  await store.record({ event: 'forwarder.started' });
  expect((await store.operations(0)).entries).toHaveLength(1);
});

it('dead letters hold whole lines if a pipeline and its successor append at the same time', async () => {
  await using store = await own();
  const long = (id: bigint) => ({
    ...letter(id),
    event: auditEvent(`{"id":${id},"x":"${'x'.repeat(2_000_000)}"}`, id),
  });
  const [before, after] = [store.deadLetters('a'), store.deadLetters('a')];
  await Promise.all([before.append(long(1n)), after.append(long(2n)), before.append(long(3n)), after.append(long(4n))]);
  expect(readdirSync(file('dead-letter'))).toEqual(['a.ndjson']);
  expect(await store.deadLetters('a').summary({ after: 0n })).toMatchObject({ events: 4, unreadable: 0 });
});

describe('the lock', () => {
  it('lets one of several first starts in, and the others end as locked', async () => {
    const starts = await Promise.allSettled(Array.from({ length: 5 }, () => own()));
    const stores = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const reasons = starts.flatMap((start) => (start.status === 'rejected' ? [start.reason] : []));
    for (const store of stores) await store[Symbol.asyncDispose]();
    expect(stores).toHaveLength(1);
    for (const reason of reasons) expect(reason).toBeInstanceOf(StateLocked);
  });

  it('is taken again after its file was removed', async () => {
    await using store = await own(10);
    await rm(file('lock.db'));
    await expect.poll(() => warnings.some((warning) => warning.includes('locked again'))).toBe(true);
    await expect(own()).rejects.toThrow(StateLocked);
    expect(await backend().owner()).toContain(`process ${process.pid} `);
    await store.save(checkpoint(1n));
  });

  it('that another process took after its file was removed fences this one: it saves nothing any more', async () => {
    const store = await own();
    await store.save(checkpoint(1n));
    await rm(file('lock.db'));
    await using other = await own();
    await expect(store.save(checkpoint(2n))).rejects.toThrow(Fenced);
    const signals = { graceful: new AbortController().signal, forced: new AbortController().signal };
    const storage = { sink: 'a', emit: () => {}, random: () => 0 };
    const retried = retryStorage(() => store.save(checkpoint(2n)), 'not saved', storage, signals);
    await expect(retried, 'a pipeline does not retry it').rejects.toThrow(Fenced);
    expect(await retried.catch(codeOf)).toBe(exitCode.held);
    await expect(store.saveHeartbeat({ operations: 0, aliveAtMs: 0 })).rejects.toThrow(Fenced);
    await other.save(checkpoint(7n));
    await store[Symbol.asyncDispose]();
    expect(afterOnDisk()).toBe('7');
    expect(await backend().owner()).toContain(`process ${process.pid} `);
  });

  it.each<[string, (other: StateStore) => Promise<void>, string | undefined]>([
    ['set the cursor', (other) => other.overwrite(checkpoint(7n)), '7'],
    ['reset the cursor', (other) => other.remove('a'), undefined],
  ])(
    'that another process took and released after its file was removed fences this one: it %s',
    async (_, change, after) => {
      const store = await own();
      await store.save(checkpoint(1n));
      await store.save(checkpoint(2n));
      await rm(file('lock.db'));
      const other = await own();
      await change(other);
      await other[Symbol.asyncDispose]();
      await expect(store.save(checkpoint(3n))).rejects.toThrow(Fenced);
      await store[Symbol.asyncDispose]();
      expect(existsSync(file('checkpoints/a.json')) ? afterOnDisk() : undefined).toBe(after);
    },
  );

  it.each(['null', '[]', '"x"', '{', ''])('is not affected by %j where its owner is named', async (text) => {
    await using _store = await own();
    await writeFile(file('lock.json'), text);
    expect(await backend().owner()).toMatch(/process/);
    await expect(own()).rejects.toThrow(StateLocked);
  });

  it('does not read the name of its owner through a link', async () => {
    await using _store = await own();
    const elsewhere = join(parent, 'elsewhere');
    await writeFile(elsewhere, '{"pid":1,"host":"secret"}');
    await rm(file('lock.json'));
    await symlink(elsewhere, file('lock.json'));
    expect(await backend().owner()).toBe('another process');
  });

  it('names a damaged lock file and what to do', async () => {
    await mkdir(state, { mode: 0o700 });
    await writeFile(file('lock.db'), 'garbage'.repeat(1000));
    await expect(own()).rejects.toThrow(/lock\.db can't be locked .* delete the file/);
  });
});

describe('the state of the heartbeat', () => {
  const good = { version: 1, operations: 3, aliveAtMs: 1_700_000_000_000 };

  it.each([
    ['an impossible time', JSON.stringify({ ...good, aliveAtMs: 1e300 })],
    ['a negative time', JSON.stringify({ ...good, aliveAtMs: -1 })],
    ['an impossible position', JSON.stringify({ ...good, operations: -5 })],
    ['a position that is no integer', JSON.stringify({ ...good, operations: 1.5 })],
    ['members of another type', JSON.stringify({ ...good, operations: '3' })],
    ['no members', '{}'],
    ['another version', JSON.stringify({ ...good, version: 2 })],
    ['no object', 'null'],
    ['an array', '[1]'],
    ['no JSON', '{"version":1,'],
    ['nothing in it', ''],
    ['bytes that are no text', '\u0000\ufffd'],
  ])('with %s is set aside with a warning', async (_, text) => {
    await using store = await own();
    await writeFile(file('feed.json'), text);
    expect(await store.loadHeartbeat()).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/feed\.json is damaged .* renamed to .*feed\.json\.damaged/)]);
    expect(readFileSync(file('feed.json.damaged'), 'utf8')).toBe(text);
    await store.saveHeartbeat(good);
    expect(await store.loadHeartbeat()).toEqual({ operations: 3, aliveAtMs: good.aliveAtMs });
  });

  it.each([
    ['a directory', (path: string) => mkdir(path)],
    ['a link', (path: string) => symlink(join(parent, 'elsewhere'), path)],
    ['a pipe', async (path: string) => execFileSync('mkfifo', [path])],
  ])('that is %s is set aside with a warning', async (_, make) => {
    await using store = await own();
    await make(file('feed.json'));
    expect(await store.loadHeartbeat()).toBeUndefined();
    expect(warnings).toHaveLength(1);
    await store.saveHeartbeat(good);
    expect((await lstat(file('feed.json'))).mode & 0o777).toBe(0o600);
    expect(existsSync(join(parent, 'elsewhere'))).toBe(false);
  });
});

it.each(['checkpoints/a.json', 'dead-letter/a.ndjson', 'operations.ndjson'])(
  'a pipe in place of %s is an error, and nothing waits for it',
  async (name) => {
    await using store = await own();
    await mkdir(join(file(name), '..'), { recursive: true });
    execFileSync('mkfifo', [file(name)]);
    const uses = {
      'checkpoints/a.json': () => store.load('a'),
      'dead-letter/a.ndjson': () => store.deadLetters('a').open(0n),
      'operations.ndjson': () => store.record({ event: 'x' }),
    };
    await expect(uses[name as keyof typeof uses]()).rejects.toThrow(name);
  },
);

it('a checkpoint of a newer version names its file', async () => {
  await using store = await own();
  await mkdir(file('checkpoints'));
  await writeFile(file('checkpoints/a.json'), '{"version":2}\n');
  await expect(store.load('a')).rejects.toThrow(`move ${file('checkpoints/a.json')} away`);
});

it('a state directory that is a file is a problem', async () => {
  await writeFile(state, '');
  await expect(own()).rejects.toThrow(StateProblem);
});
