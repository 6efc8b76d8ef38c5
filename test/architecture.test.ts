import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../src/', import.meta.url));

/** What each room may import besides itself, and the packages that live there. */
const rooms: Readonly<Record<string, { rooms: readonly string[]; packages: readonly string[] }>> = {
  core: { rooms: [], packages: [] },
  options: { rooms: ['core'], packages: ['zod'] },
  net: { rooms: ['core', 'options'], packages: ['got', 'p-retry'] },
  format: { rooms: ['core'], packages: [] },
  checkpoint: { rooms: ['core'], packages: [] },
  telemetry: { rooms: ['core'], packages: ['pino', '@opentelemetry/'] },
  simulate: { rooms: ['core'], packages: ['leven'] },
  source: { rooms: ['core', 'net'], packages: [] },
  sink: { rooms: ['core', 'net', 'options', 'format'], packages: ['zod'] },
  route: { rooms: ['core', 'net', 'source', 'format', 'sink', 'checkpoint'], packages: [] },
  config: { rooms: ['core', 'options', 'sink', 'format'], packages: ['zod', 'yaml', 'leven', 'node-cron'] },
  daemon: {
    rooms: ['core', 'net', 'options', 'source', 'sink', 'format', 'route', 'checkpoint', 'config', 'telemetry'],
    packages: ['node-cron', 'leven'],
  },
  cli: {
    rooms: ['core', 'options', 'checkpoint', 'config', 'daemon', 'source', 'simulate', 'telemetry', 'version.ts'],
    packages: ['leven'],
  },
  'main.ts': { rooms: ['cli', 'core', 'telemetry'], packages: [] },
  'version.ts': { rooms: [], packages: [] },
};

/** A route knows its source, format, sink and checkpoint by their types alone. */
const typesOnly: Readonly<Record<string, readonly string[]>> = { route: ['source', 'format', 'sink', 'checkpoint'] };

interface Import {
  readonly file: string;
  readonly from: string;
  readonly typeOnly: boolean;
}

const files = globSync('**/*.ts', { cwd: root });
const imports: readonly Import[] = files.flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8');
  const statics = [...text.matchAll(/^(?:import|export) (type )?[^;]*?from '([^']+)';$/gms)].map(
    ([, type, from]): Import => ({ file, from: from ?? '', typeOnly: type !== undefined }),
  );
  const dynamics = [...text.matchAll(/\bimport\('([^']+)'\)/g)].map(
    ([, from]): Import => ({ file, from: from ?? '', typeOnly: false }),
  );
  return [...statics, ...dynamics];
});

const roomOf = (file: string) => file.split('/')[0] ?? '';
const target = ({ file, from }: Import) => (from.startsWith('.') ? normalize(join(dirname(file), from)) : undefined);

describe('the tree', () => {
  it('has no room that nobody described', () => {
    expect(files.length).toBeGreaterThan(50);
    expect([...new Set(files.map(roomOf))].filter((room) => rooms[room] === undefined)).toEqual([]);
  });

  it('imports downwards only', () => {
    const wrong = imports.flatMap((one) => {
      const to = target(one);
      if (to === undefined || roomOf(to) === roomOf(one.file)) return [];
      return rooms[roomOf(one.file)]?.rooms.includes(roomOf(to)) ? [] : [`${one.file} → ${to}`];
    });
    expect(wrong).toEqual([]);
  });

  it('lets the route know its neighbours by their types alone', () => {
    const wrong = imports.filter((one) => {
      const to = target(one);
      return to !== undefined && typesOnly[roomOf(one.file)]?.includes(roomOf(to)) && !one.typeOnly;
    });
    expect(wrong.map(({ file, from }) => `${file} → ${from}`)).toEqual([]);
  });

  it('keeps each package in its home', () => {
    const wrong = imports.filter(({ file, from }) => {
      if (from.startsWith('.') || from.startsWith('node:')) return false;
      return !rooms[roomOf(file)]?.packages.some(
        (name) => from === name || (name.endsWith('/') && from.startsWith(name)),
      );
    });
    expect(wrong.map(({ file, from }) => `${file} → ${from}`)).toEqual([]);
  });

  it('has no cycle, types included', () => {
    const edges = new Map(files.map((file) => [normalize(file), [] as string[]]));
    for (const one of imports) {
      const to = target(one);
      if (to !== undefined) edges.get(normalize(one.file))?.push(to);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      if (done.has(file) || path.includes(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of edges.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('has no file that holds two ideas: 250 lines at most', () => {
    const long = files.filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 251);
    expect(long).toEqual([]);
  });
});
