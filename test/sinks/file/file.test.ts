import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/sinks/registry.ts';
import { startSimulator } from '../../../src/testing/simulator/server.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink, withSinks } from '../../support/configuration.ts';
import { scratch } from '../../support/scratch.ts';
import { batchOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { directory, file } = scratch();
const alive = new AbortController().signal;
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/** A sink for `path` as a configuration describes it. */
function open(path: string, ...more: string[]) {
  const [sink] = configOf(load(withSink('type: file', `path: ${path}`, ...more))).sinks;
  if (sink === undefined) throw new Error('no sink');
  const deps = sinkDeps();
  return Object.assign(definitionOf(sink).open(sink, deps), { heard: deps.heard });
}

let count = 0;
/** A new directory. */
function place(): string {
  const path = join(directory, `place-${++count}`);
  mkdirSync(path);
  return path;
}

const idsIn = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).id);

sinkConformance(
  { describe, it },
  {
    name: 'file',
    async start() {
      const path = place();
      return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) };
    },
    open: ({ path }) => open(join(path, 'audit.ndjson')),
    arrivals({ path }) {
      const name = join(path, 'audit.ndjson');
      const text = existsSync(name) ? readFileSync(name, 'utf8') : '';
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => ({ text: line, isStatus: line.startsWith('{"forwarder":') }));
    },
    refuse: ({ path }) => renameSync(path, `${path}.away`),
    recover({ path }) {
      if (existsSync(`${path}.away`)) renameSync(`${path}.away`, path);
    },
  },
);

describe('the file sink', () => {
  it('creates the file with mode 0640 whatever the umask, and leaves the mode of an existing one', async () => {
    const umask = process.umask(0o077);
    try {
      const path = join(place(), 'new.ndjson');
      await using sink = open(path);
      expect(existsSync(path)).toBe(false);
      expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
      expect(statSync(path).mode & 0o777).toBe(0o640);
      const old = join(place(), 'old.ndjson');
      writeFileSync(old, '');
      chmodSync(old, 0o600);
      await using other = open(old);
      await other.send(batchOf(1), alive);
      expect(statSync(old).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(umask);
    }
  });

  it('ends a torn last line before it appends', async () => {
    const path = file('torn.ndjson', `${textOf(1)}\n{"id":2,"us`);
    await using sink = open(path);
    await sink.send(batchOf(2, 3), alive);
    expect(readFileSync(path, 'utf8')).toBe(`${textOf(1)}\n{"id":2,"us\n${textOf(2)}\n${textOf(3)}\n`);
  });

  it('starts a new file when logrotate renames, deletes or truncates the open one', async () => {
    const path = join(place(), 'audit.ndjson');
    await using sink = open(path);
    await sink.send(batchOf(1, 2), alive);
    renameSync(path, `${path}-20260101`);
    await sink.send(batchOf(3), alive);
    expect(idsIn(readFileSync(`${path}-20260101`, 'utf8'))).toEqual([1, 2]);
    expect(idsIn(readFileSync(path, 'utf8'))).toEqual([3]);
    rmSync(path);
    await sink.send(batchOf(4), alive);
    expect(idsIn(readFileSync(path, 'utf8'))).toEqual([4]);
    writeFileSync(path, '');
    await sink.send(batchOf(5), alive);
    expect(readFileSync(path, 'utf8')).toBe(`${textOf(5)}\n`);
  });

  it.each([
    ['a missing directory', () => join(directory, 'missing', 'audit.ndjson'), /directory does not exist/],
    ['a directory in its place', () => place(), /(is a directory|not a regular file)/],
    ['a file in place of the directory', () => join(file('plain', ''), 'audit.ndjson'), /not a directory/],
    ['a device in its place', () => '/dev/null', /not a regular file/],
  ])('parks at %s, names it and creates nothing', async (_, pathOf, detail) => {
    const path = pathOf();
    await using sink = open(path);
    const stop = { kind: 'stop', reason: 'address', detail: expect.stringMatching(detail) };
    expect(await sink.probe(alive)).toMatchObject(stop);
    expect(await sink.send(batchOf(1), alive)).toMatchObject(stop);
    expect(existsSync(join(directory, 'missing'))).toBe(false);
  });

  it('creates nothing when it is probed', async () => {
    const path = join(place(), 'audit.ndjson');
    await using sink = open(path);
    expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
    expect(existsSync(path)).toBe(false);
  });

  it('renames a file that would grow beyond maxBytes, compresses it and keeps as many as it says', async () => {
    const at = place();
    const path = join(at, 'audit.ndjson');
    const sink = open(path, 'rotate: { maxBytes: 1MiB, keep: 2 }');
    const padding = `${'x'.repeat(1024 ** 2 - 1)}\n`;
    appendFileSync(path, padding);
    for (const id of [1, 2, 3, 4]) {
      expect(await sink.send(batchOf(id), alive)).toEqual({ kind: 'accepted' });
      await expect.poll(() => readdirSync(at).some((name) => /\d$|tmp$/.test(name))).toBe(false);
      if (id < 4) appendFileSync(path, padding);
    }
    await sink[Symbol.asyncDispose]();
    expect(readdirSync(at).sort()).toEqual(['audit.ndjson', 'audit.ndjson.1.gz', 'audit.ndjson.2.gz']);
    expect(idsIn(readFileSync(path, 'utf8'))).toEqual([4]);
    const rotated = (index: number) => gunzipSync(readFileSync(`${path}.${index}.gz`)).toString();
    expect(rotated(1)).toBe(`${textOf(3)}\n${padding}`);
    expect(rotated(2)).toBe(`${textOf(2)}\n${padding}`);
    expect(statSync(`${path}.1.gz`).mode & 0o777).toBe(0o640);
  });

  it('closes a gap that a crash left among the renamed files, and overwrites none', async () => {
    const at = place();
    const path = join(at, 'audit.ndjson');
    for (const index of [1, 2, 4]) writeFileSync(`${path}.${index}`, `${index}\n`);
    writeFileSync(path, `${'x'.repeat(1024 ** 2)}\n`);
    await using sink = open(path, 'rotate: { maxBytes: 1MiB, keep: 4, compress: false }');
    await sink.send(batchOf(1), alive);
    expect([2, 3, 4].map((index) => readFileSync(`${path}.${index}`, 'utf8'))).toEqual(['1\n', '2\n', '4\n']);
  });

  it('leaves nothing of a failed write behind, and doubles nothing in the next attempt', async () => {
    const at = place();
    const path = join(at, 'audit.ndjson');
    await using simulator = await startSimulator({ events: 500, key: 'k' });
    const config = file(
      'full-disk.yaml',
      `source: { url: "${simulator.url}", apiKey: k, pageSize: 100 }\nstate: { directory: "${join(at, 'state')}" }\nsinks: [ { type: file, path: "${path}" } ]\n`,
    );
    const once = (prefix: readonly string[]) => {
      const [command = '', ...args] = [...prefix, process.execPath, main, 'once', '-c', config, '--patience', '1s'];
      const child = spawn(command, args, { stdio: 'ignore', env: {} });
      return new Promise((resolve) => child.on('close', resolve));
    };
    // No file may grow beyond 64 KiB: the write that reaches the limit is cut short, as on a disk that fills up.
    expect(await once(['bash', '-c', `trap '' XFSZ; ulimit -f 64; exec "$@"`, 'bash'])).toBe(69);
    const first = idsIn(readFileSync(path, 'utf8'));
    expect(await once([])).toBe(0);
    const all = idsIn(readFileSync(path, 'utf8'));
    expect(all.slice(0, first.length)).toEqual(first);
    expect(all).toEqual([...new Set(all)]);
    expect(all).toHaveLength(500);
  });

  it('shares its file with no other sink, and requires a path', () => {
    const two = withSinks(['name: a', 'type: file', 'path: /a/b'], ['name: b', 'type: file', 'path: /a/./b']);
    expect(problemsOf(load(two))).toEqual([expect.stringMatching(/already writes to \/a\/b: records would mix/)]);
    expect(problemsOf(load(withSink('type: file')))).toEqual([expect.stringMatching(/path: is missing/)]);
    expect(problemsOf(load(withSink('type: file', 'path: /a/')))).toEqual([expect.stringMatching(/path of a file/)]);
  });
});
