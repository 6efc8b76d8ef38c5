import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cursor } from '../event/event.ts';
import type { Hash } from './merkle.ts';

const idBytes = 8;
const hashBytes = 32;
const rowBytes = idBytes + hashBytes;
/** Rows of one part that are collected before they are written. */
const chunkRows = 4_096;
/** Rows that are held in memory before parts are written to files. */
const mostRowsInMemory = 100_000;

interface Part {
  readonly upTo: Cursor;
  readonly chunks: Buffer[];
  current: Buffer;
  used: number;
  /** Set once rows of it were written to the file. */
  file: number | undefined;
  readonly path: string;
}

/** The copies of the records of one part of the ids, sorted by id. */
export interface SortedRows {
  readonly length: number;
  id(index: number): Cursor;
  leaf(index: number): Hash;
  /** Index of the first row whose id is not less. */
  find(id: Cursor): number;
}

/**
 * Ids and leaf hashes of records in any order, to be read sorted by id, one part of the ids after the other: at any time one
 * part is in memory, 40 bytes a record, while the others may be in temporary files.
 */
export class RecordRows implements Disposable {
  readonly #parts: readonly Part[];
  #directory: string | undefined;
  #held = 0;

  /** @param limits the greatest id of each part, ascending; what is above the last is not stored */
  constructor(limits: readonly Cursor[]) {
    this.#parts = limits.map((upTo, index) => ({
      ...{ upTo, chunks: [], current: Buffer.alloc(0), used: 0, file: undefined },
      path: String(index),
    }));
  }

  add(id: Cursor, leaf: Hash): void {
    const part = this.#partOf(id);
    if (part === undefined) return;
    if (part.used === part.current.length) {
      if (part.used > 0) part.chunks.push(part.current);
      part.current = Buffer.allocUnsafe(chunkRows * rowBytes);
      part.used = 0;
    }
    part.current.writeBigUInt64BE(id, part.used);
    part.current.write(leaf, part.used + idBytes, hashBytes, 'latin1');
    part.used += rowBytes;
    this.#held += 1;
    if (this.#held > mostRowsInMemory) this.#writeAll();
  }

  /** The rows of part `index`. */
  part(index: number): SortedRows {
    const part = this.#parts[index];
    if (part === undefined) throw new RangeError(`there is no part ${index}`);
    const written = part.file === undefined ? [] : [readFileSync(join(this.#directory as string, part.path))];
    const bytes = Buffer.concat([...written, ...part.chunks, part.current.subarray(0, part.used)]);
    const count = bytes.length / rowBytes;
    const order = Uint32Array.from({ length: count }, (_, row) => row);
    const ids = BigUint64Array.from({ length: count }, (_, row) => bytes.readBigUInt64BE(row * rowBytes));
    order.sort((a, b) => ((ids[a] as bigint) < (ids[b] as bigint) ? -1 : ids[a] === ids[b] ? 0 : 1));
    const id = (at: number) => ids[order[at] as number] as bigint;
    return {
      length: count,
      id,
      leaf: (at) => {
        const start = (order[at] as number) * rowBytes + idBytes;
        return bytes.toString('latin1', start, start + hashBytes);
      },
      find: (wanted) => {
        let [low, high] = [0, count];
        while (low < high) {
          const middle = (low + high) >>> 1;
          if (id(middle) < wanted) low = middle + 1;
          else high = middle;
        }
        return low;
      },
    };
  }

  [Symbol.dispose](): void {
    for (const { file } of this.#parts) if (file !== undefined) closeSync(file);
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }

  #partOf(id: Cursor): Part | undefined {
    let [low, high] = [0, this.#parts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#parts[middle] as Part).upTo < id) low = middle + 1;
      else high = middle;
    }
    return this.#parts[low];
  }

  #writeAll(): void {
    this.#directory ??= mkdtempSync(join(tmpdir(), 'evidence-'));
    for (const part of this.#parts) {
      if (part.used === 0 && part.chunks.length === 0) continue;
      part.file ??= openSync(join(this.#directory, part.path), 'wx', 0o600);
      for (const chunk of part.chunks) writeSync(part.file, chunk);
      writeSync(part.file, part.current, 0, part.used);
      part.chunks.length = 0;
      part.used = 0;
      part.current = Buffer.alloc(0);
    }
    this.#held = 0;
  }
}
