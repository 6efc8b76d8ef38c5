import { join } from 'node:path';
import { bigintsAsText } from '../../lib/json.ts';
import type { OperationsPage, OperationsRecord } from '../store.ts';
import { makeDirectory, openForAppend, readTail, syncDirectory } from './durable.ts';

const maxReadBytes = 1024 ** 2;

export interface OperationsFileOptions {
  /** The state directory; created if it is missing. */
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The operations log in `<state>/operations.ndjson`, one JSON object a line. */
export class OperationsFile {
  readonly #options: OperationsFileOptions;
  readonly #path: string;

  constructor(options: OperationsFileOptions) {
    this.#options = options;
    this.#path = join(options.directory, 'operations.ndjson');
  }

  /** Durable once it resolves. A line that a crash cut off stays, and the new one begins below it. @throws the file system's error */
  async append(record: OperationsRecord): Promise<void> {
    const { directory, now } = this.#options;
    const at = new Date(now()).toISOString();
    const line = JSON.stringify({ at, uid: process.getuid?.() ?? null, ...record }, bigintsAsText);
    await makeDirectory(directory);
    await using file = await openForAppend(this.#path);
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await file.read(last, 0, 1, size - 1);
    // One write, so that lines of two processes do not mix.
    await file.appendFile(size > 0 && last[0] !== 0x0a ? `\n${line}\n` : `${line}\n`);
    await file.sync();
    if (size === 0) await syncDirectory(directory);
  }

  /**
   * The lines after byte `from`, of those the last MiB. Lines that are no JSON object are left out. Nothing if `from` lies
   * beyond the end: it is another file then. @throws the file system's error
   */
  async read(from: number): Promise<OperationsPage> {
    const { text, end } = await readTail(this.#path, from, maxReadBytes);
    return { entries: text.split('\n').flatMap(parsed), end };
  }
}

function parsed(line: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [value as Record<string, unknown>]
      : [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [];
  }
}
