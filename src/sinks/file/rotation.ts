import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { fileMode, isFileSystemError, syncDirectory } from './files.ts';

export interface RotationOptions {
  /** Maximum file size; a single larger batch gets a separate file. */
  readonly maxBytes: number;
  /** How many renamed files are kept. */
  readonly keep: number;
  readonly compress: boolean;
}

/** A renamed file: `PATH.3` or `PATH.3.gz`. */
interface Renamed {
  readonly index: number;
  readonly path: string;
  readonly isCompressed: boolean;
}

/**
 * Renames a file to PATH.1, an older PATH.1 to PATH.2 and so on, oldest first, so that a crash at any moment leaves a gap in
 * the numbers and overwrites nothing; the next rotation closes the gap. Renamed files are compressed beside the delivery.
 * What a crash or an error leaves uncompressed is compressed after the next rotation.
 */
export class Rotation {
  readonly #path: string;
  readonly #options: RotationOptions;
  readonly #onProblem: (detail: string) => void;
  readonly #ending = new AbortController();
  #compressing: Promise<void> = Promise.resolve();

  constructor(path: string, options: RotationOptions, onProblem: (detail: string) => void) {
    this.#path = path;
    this.#options = options;
    this.#onProblem = onProblem;
  }

  /** Whether a file of this size must be renamed before `more` bytes are appended. */
  isDue(size: number, more: number): boolean {
    return size > 0 && size + more > this.#options.maxBytes;
  }

  /** Renames the file, which must be closed. @throws the file system's error */
  async rotate(): Promise<void> {
    await this.#compressing;
    const { keep, compress } = this.#options;
    const found = await this.#renamed();
    const taken = new Set(found.map(({ index }) => index));
    let free = 1;
    while (free < keep && taken.has(free)) free += 1;
    for (const { index, path } of found) if (index > keep || (index === free && free === keep)) await unlink(path);
    for (const { index, path, isCompressed } of found.toSorted((a, b) => b.index - a.index))
      if (index < free) await rename(path, this.#nameOf(index + 1, isCompressed));
    await rename(this.#path, this.#nameOf(1, false));
    await syncDirectory(dirname(this.#path));
    if (compress) this.#compressing = this.#compress();
  }

  /** Ends the compression in progress, which the next rotation repeats. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#compressing;
  }

  /** Never rejects with an error of the file system: a file that stays uncompressed loses nothing. */
  async #compress(): Promise<void> {
    try {
      for (const { path, index, isCompressed } of await this.#renamed())
        if (!isCompressed) await this.#compressOne(path, this.#nameOf(index, true));
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      if (!isFileSystemError(error)) throw error;
      this.#onProblem(`a rotated file stays uncompressed until the next rotation: ${error.message}`);
    }
  }

  async #compressOne(from: string, to: string): Promise<void> {
    const partial = `${to}.tmp`;
    const { signal } = this.#ending;
    await pipeline(createReadStream(from), createGzip(), createWriteStream(partial, { flush: true }), { signal });
    await chmod(partial, fileMode);
    await rename(partial, to);
    await syncDirectory(dirname(to));
    await unlink(from);
  }

  async #renamed(): Promise<Renamed[]> {
    const directory = dirname(this.#path);
    const prefix = `${basename(this.#path)}.`;
    return (await readdir(directory)).flatMap((name) => {
      const [, digits, suffix] = name.startsWith(prefix)
        ? (/^([1-9]\d{0,8})(\.gz)?$/.exec(name.slice(prefix.length)) ?? [])
        : [];
      if (digits === undefined) return [];
      return [{ index: Number(digits), path: join(directory, name), isCompressed: suffix !== undefined }];
    });
  }

  #nameOf(index: number, isCompressed: boolean): string {
    return `${this.#path}.${index}${isCompressed ? '.gz' : ''}`;
  }
}
