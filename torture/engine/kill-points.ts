import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** A point at which the program can be killed: `open` … are about to happen, `written` … have happened. */
export interface Point {
  /** Its name: operation, file, and which of its kind. */
  readonly at: string;
  readonly op:
    | 'open' | 'write' | 'barely-written' | 'half-written' | 'written' | 'sync' | 'synced' | 'rename' | 'link' | 'unlink' | 'truncate'
    | 'truncated' | 'send' | 'half-sent' | 'sent' | 'received' | 'http-finish' | 'http-response' | 'http-end'; // biome-ignore format: a list
  readonly path: string;
}

/** Reads the points that a run passed, in order. */
export function readTrace(file: string): Point[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Point);
}

/**
 * Selects at most `most` points, taking each kind in turn so that rare kinds are covered. The seed sets the starting
 * position, so that different runs try different points.
 */
export function sampled(points: readonly Point[], most: number, seed: number): string[] {
  if (points.length <= most) return points.map(({ at }) => at);
  const groups = Map.groupBy(points, ({ op, path }) => `${op} ${basename(path)}`);
  const draw = [...groups.values()].map((group, index) => rotated(group, seed + index));
  const order = rotated(draw, seed);
  const rounds = Array.from({ length: most }, (_, round) => order.flatMap((group) => group[round]?.at ?? []));
  return rounds.flat().slice(0, most);
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = Math.floor(((by * 0.618034) % 1) * items.length);
  return [...items.slice(at), ...items.slice(0, at)];
}

/**
 * Checks the order of syncs, which no kill can show because the kernel outlives the process: a file is synced before it is
 * renamed, its directory before the next rename and before exit, and a dead letter before any checkpoint passes it.
 * Returns descriptions of the faults.
 */
export function orderFaults(points: readonly Point[]): string[] {
  const unsynced = new Set<string>();
  const renamed = new Set<string>();
  const faults = new Set<string>();
  for (const { op, path } of points) {
    if (op === 'write' && /\.(tmp|ndjson|torn)$/.test(path)) unsynced.add(path);
    else if (op === 'synced') {
      unsynced.delete(path);
      renamed.delete(path);
    } else if (op === 'rename') {
      if (unsynced.has(`${path}.tmp`)) faults.add(`${basename(path)} was renamed into its place without an fsync`);
      if (renamed.has(dirname(path))) faults.add('a directory was not synced between two renames');
      for (const open of unsynced)
        if (open.includes('dead-letter')) faults.add(`a checkpoint was written before ${basename(open)} was synced`);
      renamed.add(dirname(path));
    }
  }
  for (const path of renamed) faults.add(`${basename(path)}/ was not synced after the last rename`);
  return [...faults];
}
