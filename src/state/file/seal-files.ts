import { type FileHandle, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type SealStore, StateProblem } from '../store.ts';
import { ignore, makeDirectory, openForAppend, readText, replaceFile, syncDirectory } from './durable.ts';

const monthFile = /^\d{4}-\d{2}\.ndjson$/;
const unsealedFile = 'unsealed';
const newline = 0x0a;
const readBytes = 256 * 1024;

/**
 * The seals of one sink: `<state>/evidence/<tenant>/<sink>/<yyyy>-<mm>.ndjson`, by the month in which the interval ended. What
 * the next seals need of events above the checkpoint is beside them in `unsealed`.
 */
export class SealFiles implements SealStore {
  readonly location: string;
  /** A line that a crash cut off is removed before the first append: only a whole line is a seal. */
  #isRepaired = false;
  #isUnsealedRepaired = false;

  readonly #requireOwnership: () => Promise<void>;

  /** @param directory of this sink; created with the first write @param requireOwnership throws if it is lost */
  constructor(directory: string, requireOwnership: () => Promise<void>) {
    this.location = directory;
    this.#requireOwnership = requireOwnership;
  }

  async newest(): Promise<string | undefined> {
    for (const name of (await this.#months()).reverse()) {
      const lines = completeLines(await readText(join(this.location, name)));
      if (lines.length > 0) return lines.at(-1);
    }
    return undefined;
  }

  async append(line: string, atMs: number): Promise<void> {
    await this.#requireOwnership();
    const newestMonth = (await this.#months()).at(-1);
    const month = `${new Date(atMs).toISOString().slice(0, 7)}.ndjson`;
    // A clock that was set back must not put a seal before older ones.
    const name = newestMonth !== undefined && newestMonth > month ? newestMonth : month;
    if (!this.#isRepaired && newestMonth !== undefined) await removeTornLine(join(this.location, newestMonth));
    this.#isRepaired = true;
    await this.#append(name, `${line}\n`);
  }

  async *lines(): AsyncGenerator<string> {
    for (const name of await this.#months()) yield* completeLines(await readText(join(this.location, name)));
  }

  async unsealed(): Promise<readonly string[]> {
    return completeLines(await readText(join(this.location, unsealedFile)));
  }

  async addUnsealed(entries: readonly string[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#requireOwnership();
    if (!this.#isUnsealedRepaired) await removeTornLine(join(this.location, unsealedFile));
    this.#isUnsealedRepaired = true;
    await this.#append(unsealedFile, `${entries.join('\n')}\n`);
  }

  async replaceUnsealed(entries: readonly string[]): Promise<void> {
    await this.#requireOwnership();
    await this.#makeDirectory();
    await replaceFile(join(this.location, unsealedFile), entries.map((entry) => `${entry}\n`).join(''));
  }

  async #append(name: string, text: string): Promise<void> {
    await this.#makeDirectory();
    await using file = await openForAppend(join(this.location, name));
    const { size } = await file.stat();
    try {
      await file.appendFile(text);
      await file.sync();
    } catch (error) {
      // A part may be written, and the next attempt writes all of it.
      await file.truncate(size);
      throw error;
    }
    if (size === 0) await syncDirectory(this.location);
  }

  async #makeDirectory(): Promise<void> {
    await refuseLink(this.location);
    await makeDirectory(this.location);
  }

  /** The names of the month files, oldest first. */
  async #months(): Promise<string[]> {
    const names = (await readdir(this.location).catch(ignore('ENOENT'))) ?? [];
    return names.filter((name) => monthFile.test(name)).sort();
  }
}

/** A link could lead to where other users write. @throws {StateProblem} */
async function refuseLink(path: string): Promise<void> {
  const entry = await lstat(path).catch(ignore('ENOENT'));
  if (entry !== undefined && !entry.isDirectory())
    throw new StateProblem(`${path} is not a directory, and links are not followed here: move it away`);
}

/** The lines that end with a line feed. */
function completeLines(text = ''): string[] {
  return text.split('\n').slice(0, -1);
}

async function removeTornLine(path: string): Promise<void> {
  const exists = await lstat(path).catch(ignore('ENOENT'));
  if (exists === undefined) return;
  await using file = await openForAppend(path);
  const { size } = await file.stat();
  const end = await endOfLastLine(file, size);
  if (end === size) return;
  await file.truncate(end);
  await file.sync();
}

/** The offset after the last line feed. */
async function endOfLastLine(file: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - readBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(newline);
    if (at !== -1) return start + at + 1;
    end = start;
  }
  return 0;
}
