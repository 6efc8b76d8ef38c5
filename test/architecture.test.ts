import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../src/', import.meta.url));

/** The folders in their order: each may import only from those before it. */
const layers: readonly (readonly string[])[] = [
  ['lib', 'version.ts'],
  ['event'],
  ['format', 'telemetry'],
  ['source', 'sinks', 'state', 'evidence'],
  ['pipeline', 'config'],
  ['testing'],
  ['app'],
  ['cli'],
  ['main.ts'],
];

/** The packages a folder may import. */
const packages: Readonly<Record<string, readonly string[]>> = {
  lib: ['got', 'leven', 'p-retry', 'zod'],
  telemetry: ['pino', '@opentelemetry/'],
  sinks: ['zod', '@opentelemetry/otlp-transformer', 'aws4', '@platformatic/kafka'],
  config: ['zod', 'yaml', 'node-cron'],
  testing: ['vitest'],
  app: ['node-cron'],
};

const layerOf = (folder: string) => layers.findIndex((layer) => layer.includes(folder));

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

const folderOf = (file: string) => file.split('/')[0] ?? '';
const target = ({ file, from }: Import) => (from.startsWith('.') ? normalize(join(dirname(file), from)) : undefined);

describe('the tree', () => {
  it('has no folder outside the layers', () => {
    expect(files.length).toBeGreaterThan(50);
    expect([...new Set(files.map(folderOf))].filter((folder) => layerOf(folder) === -1)).toEqual([]);
  });

  it('imports only from the layers before its own', () => {
    const wrong = imports.flatMap((one) => {
      const to = target(one);
      const [from, other] = [folderOf(one.file), to === undefined ? undefined : folderOf(to)];
      if (other === undefined || other === from) return [];
      return layerOf(other) < layerOf(from) ? [] : [`${one.file} → ${to}`];
    });
    expect(wrong).toEqual([]);
  });

  it('imports a package only in the folder that owns it', () => {
    const wrong = imports.filter(({ file, from }) => {
      if (from.startsWith('.') || from.startsWith('node:')) return false;
      return !packages[folderOf(file)]?.some((name) => from === name || (name.endsWith('/') && from.startsWith(name)));
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

  it('says in the first comment of a file above 250 lines why it is that long', () => {
    const unexplained = files.filter((file) => {
      const lines = readFileSync(join(root, file), 'utf8').trimEnd().split('\n');
      return lines.length > 250 && !lines.slice(0, 3).some((line) => /^(\/\*\*|\/\/)/.test(line));
    });
    expect(unexplained).toEqual([]);
  });
});
