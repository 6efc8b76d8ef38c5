import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointFiles } from '../../../src/state/file/checkpoint-files.ts';
import { type Checkpoint, CheckpointProblem } from '../../../src/state/store.ts';
import type { TelemetryEvent } from '../../../src/telemetry/telemetry-event.ts';

const source = 'https://acme.eu1.qasphere.com';
const checkpoint = (after: bigint, more: Partial<Checkpoint> = {}): Checkpoint => ({
  sink: 'splunk',
  source,
  after,
  delivered: [
    [after + 2n, after + 2n],
    [after + 5n, after + 9n],
  ],
  refusedInRow: 3,
  newest: { id: after + 9n, sha256: 'ab' },
  pendingAcks: { channel: 'x', open: [1, 2] },
  ...more,
});

let directory: string;
let emitted: TelemetryEvent[];
const open = (at = source) =>
  new CheckpointFiles({ directory, source: at, emit: (event) => emitted.push(event), now: () => 1_700_000_000_000 });
const path = (name: string) => join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'checkpoints-'));
  emitted = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('checkpoint files', () => {
  it('return what was saved, ids beyond 2^53 too', async () => {
    const saved = checkpoint(9007199254740993n);
    await open().save(saved);
    expect(await open().load('splunk')).toEqual(saved);
    expect(await open().load('other')).toBeUndefined();
  });

  it('that are loaded while one is saved never set back what is restored later', async () => {
    const files = open();
    await files.save(checkpoint(1n));
    for (let after = 2n; after < 60n; after++) {
      await Promise.all([files.load('splunk'), files.load('splunk'), files.save(checkpoint(after))]);
      await rm(path('splunk.json'));
      await files.restore();
      expect((await open().load('splunk'))?.after).toBe(after);
    }
  });

  it('are JSON with ids as strings of digits, single or as pairs', async () => {
    await open().save(checkpoint(7n));
    expect(JSON.parse(await readFile(path('splunk.json'), 'utf8'))).toMatchObject({
      version: 1,
      sink: 'splunk',
      source,
      after: '7',
      delivered: ['9', ['12', '16']],
      updatedAt: '2023-11-14T22:13:20.000Z',
    });
  });

  it('keep the generation before if the newest is missing', async () => {
    const store = open();
    for (const after of [1n, 2n]) await store.save(checkpoint(after));
    // As a crash leaves it on a file system without hard links, or a person.
    await rm(path('splunk.json'));
    await store.save(checkpoint(3n));
    expect(JSON.parse(await readFile(path('splunk.previous.json'), 'utf8')).after).toBe('1');
    expect(JSON.parse(await readFile(path('splunk.json'), 'utf8')).after).toBe('3');
  });

  it('keep the generation before beside the newest, and nothing else', async () => {
    const store = open();
    for (const after of [1n, 2n, 3n]) await store.save(checkpoint(after));
    expect((await readdir(directory)).sort()).toEqual(['splunk.json', 'splunk.previous.json']);
    expect(JSON.parse(await readFile(path('splunk.previous.json'), 'utf8')).after).toBe('2');
    expect((await store.inspect()).map(({ sink }) => sink)).toEqual(['splunk']);
  });

  it('are 0600 whatever the umask', async () => {
    const old = process.umask(0);
    try {
      const store = open();
      await store.save(checkpoint(1n));
      await store.save(checkpoint(2n));
    } finally {
      process.umask(old);
    }
    for (const name of await readdir(directory)) expect((await lstat(path(name))).mode & 0o777).toBe(0o600);
  });

  it('fall back to the generation before when the newest is cut or changed at any byte, with a warning', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    const good = await readFile(path('splunk.json'));
    for (let at = 0; at < good.length - 1; at++) {
      await writeFile(path('splunk.json'), good.subarray(0, at));
      expect((await store.load('splunk'))?.after, `cut at ${at}`).toBe(1n);
      const flipped = Buffer.from(good);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      await writeFile(path('splunk.json'), flipped);
      const loaded = await store.load('splunk').catch((error: unknown) => error);
      if (loaded instanceof CheckpointProblem) throw new Error(`flipped at ${at}: ${loaded.message}`);
      expect((loaded as Checkpoint).after, `flipped at ${at}`).toBe(1n);
    }
    expect(emitted.at(-1)).toMatchObject({ event: 'checkpoint.fallback', sink: 'splunk' });
  });

  it('fall back when the newest is missing', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    await rm(path('splunk.json'));
    expect((await open().load('splunk'))?.after).toBe(1n);
    expect(emitted).toMatchObject([{ event: 'checkpoint.fallback' }]);
  });

  it('report a fallback once, however often they are loaded', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    await writeFile(path('splunk.json'), 'damaged');
    for (const _ of [1, 2]) expect((await store.load('splunk'))?.after).toBe(1n);
    expect(emitted).toMatchObject([{ event: 'checkpoint.fallback' }]);
  });

  it('stop the start if both are damaged, or the only one, and stay unchanged', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await writeFile(path('splunk.json'), '{"version":1');
    await expect(store.load('splunk')).rejects.toThrow(/cursor set splunk/);
    await writeFile(path('splunk.previous.json'), '');
    await expect(store.load('splunk')).rejects.toThrow(CheckpointProblem);
    expect(await readFile(path('splunk.json'), 'utf8')).toBe('{"version":1');
  });

  it('stop the start if they belong to another tenant', async () => {
    await open().save(checkpoint(1n));
    const other = open('https://other.eu1.qasphere.com');
    await expect(other.load('splunk')).rejects.toThrow(/acme\.eu1/);
  });

  it('stop the start if a newer version wrote them, even if the one before is good', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    await writeFile(path('splunk.json'), '{"version":2,"position":"x"}\n');
    await expect(store.load('splunk')).rejects.toThrow(/version 2/);
  });

  it('are not written through a link, and leave what it points to alone', async () => {
    const elsewhere = path('elsewhere');
    await writeFile(elsewhere, 'untouched');
    await symlink(elsewhere, path('splunk.json.tmp'));
    const store = open();
    await store.save(checkpoint(1n));
    expect(await readFile(elsewhere, 'utf8')).toBe('untouched');
    await rm(path('splunk.json'));
    await symlink(elsewhere, path('splunk.json'));
    await expect(store.load('splunk')).rejects.toThrow();
  });

  it('keep the good generation until a new one is there when the newest is damaged', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    await writeFile(path('splunk.json'), 'damaged');
    const later = open();
    await later.load('splunk');
    await later.save(checkpoint(3n));
    expect(JSON.parse(await readFile(path('splunk.previous.json'), 'utf8')).after).toBe('1');
    await later.save(checkpoint(4n));
    expect(JSON.parse(await readFile(path('splunk.previous.json'), 'utf8')).after).toBe('3');
  });

  it.each<[string, Partial<Checkpoint>]>([
    [
      'whose ranges are out of order',
      {
        delivered: [
          [30n, 31n],
          [20n, 21n],
        ],
      },
    ],
    [
      'whose ranges overlap',
      {
        delivered: [
          [20n, 25n],
          [25n, 30n],
        ],
      },
    ],
    ['with a range that ends before it begins', { delivered: [[25n, 20n]] }],
    ['with a range at or below the cursor', { delivered: [[2n, 25n]] }],
    ['whose newest event has no id', { newest: { id: 'x' as never, sha256: 'ab' } }],
    ['whose newest event is no object', { newest: 'x' as never }],
  ])('are damaged %s, although the checksum matches', async (_, more) => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n, more));
    expect((await store.load('splunk'))?.after).toBe(1n);
    expect(emitted).toMatchObject([{ event: 'checkpoint.fallback' }]);
  });

  it.each([
    ['is not an object', 'null}'],
    ['is not JSON', '{"version":1'],
    [
      'has a start that is no time',
      '{"version":1,"sink":"splunk","source":"x","after":"1","delivered":[],"startAt":"x"',
    ],
  ])('are damaged if the text %s, although the checksum matches', async (_, text) => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    const sum = createHash('sha256').update(`${text}}`).digest('hex');
    await writeFile(path('splunk.json'), `${text},"checksum":"${sum}"}\n`);
    expect((await open().load('splunk'))?.after).toBe(1n);
    expect((await open().inspect())[0]).toMatchObject({ condition: 'fallback' });
  });

  it('are damaged if the file is too large to be one', async () => {
    const store = open();
    await store.save(checkpoint(1n));
    await store.save(checkpoint(2n));
    await truncate(path('splunk.json'), 3 * 1024 ** 3);
    expect((await open().load('splunk'))?.after).toBe(1n);
  });
});
