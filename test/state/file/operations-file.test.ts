import { appendFile, lstat, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OperationsFile } from '../../../src/state/file/operations-file.ts';
import type { Operation } from '../../../src/state/store.ts';

let directory: string;
const path = () => join(directory, 'operations.ndjson');
const log = () => new OperationsFile({ directory, now: () => Date.UTC(2026, 10, 24, 12) });
const append = (operation: Operation) => log().append(operation);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'operations-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the operations log', () => {
  it('contains one line of JSON for each: when, by whom, what, from and to, ids with all their digits', async () => {
    await append({ operation: 'cursor set', sink: 'splunk', from: { after: 9007199254740993n }, to: { after: 7n } });
    await append({ operation: 'cursor reset', sink: 'splunk', from: null, to: 'line\nend' });
    const lines = (await readFile(path(), 'utf8')).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        at: '2026-11-24T12:00:00.000Z',
        uid: process.getuid?.(),
        operation: 'cursor set',
        sink: 'splunk',
        from: { after: '9007199254740993' },
        to: { after: '7' },
      },
      expect.objectContaining({ operation: 'cursor reset', from: null, to: 'line\nend' }),
    ]);
  });

  it('begins a new line after one that a crash cut off', async () => {
    await append({ operation: 'cursor set', sink: 'a', from: null, to: null });
    await appendFile(path(), '{"at":"20');
    await append({ operation: 'cursor set', sink: 'b', from: null, to: null });
    const lines = (await readFile(path(), 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe('{"at":"20');
    expect(JSON.parse(lines[2] ?? '')).toMatchObject({ sink: 'b' });
  });

  it('is 0600 whatever the umask, and is not written through a link', async () => {
    const old = process.umask(0);
    try {
      await append({ operation: 'cursor set', sink: 'a', from: null, to: null });
    } finally {
      process.umask(old);
    }
    expect((await lstat(path())).mode & 0o777).toBe(0o600);
    await rm(path());
    await symlink(join(directory, 'elsewhere'), path());
    await expect(append({ operation: 'cursor set', sink: 'a', from: null, to: null })).rejects.toThrow(/ELOOP/);
  });

  it('is read from a byte on, without what is no object, and not at all from beyond its end', async () => {
    await append({ operation: 'cursor set', sink: 'a', from: null, to: null });
    const { end } = await log().read(0);
    await appendFile(path(), '{"at":"20');
    await append({ operation: 'cursor set', sink: 'b', from: null, to: null });
    expect((await log().read(0)).entries.map(({ sink }) => sink)).toEqual(['a', 'b']);
    expect((await log().read(end)).entries.map(({ sink }) => sink)).toEqual(['b']);
    expect((await log().read(1e9)).entries).toEqual([]);
  });

  it('is read to its last MiB, however long it is', async () => {
    await appendFile(path(), `${JSON.stringify({ operation: 'cursor set', sink: 'old', to: 'x'.repeat(2 ** 20) })}\n`);
    await append({ operation: 'cursor set', sink: 'new', from: null, to: null });
    expect((await log().read(0)).entries.map(({ sink }) => sink)).toEqual(['new']);
  });

  it('is empty if there is no file', async () => {
    expect(await log().read(0)).toEqual({ entries: [], end: 0 });
  });
});
