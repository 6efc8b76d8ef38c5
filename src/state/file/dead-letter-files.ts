import { hash } from 'node:crypto';
import { type FileHandle, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AuditEvent, Cursor } from '../../event/event.ts';
import { Mutex } from '../../lib/mutex.ts';
import { linesOf, readLine } from './dead-letter-lines.ts';
import { openForAppend, syncDirectory } from './durable.ts';

export interface Refusal {
  readonly sink: string;
  readonly reason: string;
  readonly event: AuditEvent;
}

export interface DeadLetterOptions {
  /** `<state>/dead-letter`; made where it is missing. */
  readonly directory: string;
  /** File name without its ending. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Refused records in `<state>/dead-letter/<sink>.ndjson`, one JSON object a line: `{ at, sink, reason, event }`. */
export class DeadLetterFile {
  readonly #options: DeadLetterOptions;
  readonly #path: string;
  /** Ids with the digest of their event: another tenant's may have the same id. */
  #known = new Set<string>();
  readonly #turns = new Mutex();

  constructor(options: DeadLetterOptions) {
    this.#options = options;
    this.#path = join(options.directory, `${options.name}.ndjson`);
  }

  /** Looks up which events above `after` are here already, from before a crash, and makes them durable. */
  async open(after: Cursor): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    const known = new Set<string>();
    const file = await openForAppend(this.#path);
    try {
      await this.#mendTornLine(file);
      for await (const { bytes } of linesOf(file)) {
        const line = readLine(bytes);
        if (line !== undefined && line.id > after) known.add(keyOf(line.id, line.text));
      }
      if (known.size > 0) {
        // Who wrote them may have died before it could sync.
        await file.sync();
        await syncDirectory(this.#options.directory);
      }
    } finally {
      await file.close();
    }
    this.#known = known;
  }

  /** Whether it can be opened for writing; nothing is changed in what is there. @throws the file system's error */
  async probe(): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    await (await openForAppend(this.#path)).close();
  }

  /**
   * Durable when it resolves; an event that `open` found is not written again.
   * @throws the file system's error, with nothing half written
   */
  append(refusal: Refusal): Promise<void> {
    return this.#turns.take(() => this.#append(refusal));
  }

  async #append({ sink, reason, event }: Refusal): Promise<void> {
    const text = oneLine(event.text);
    const key = keyOf(event.id, text);
    if (this.#known.has(key)) return;
    const at = new Date(this.#options.now()).toISOString();
    const head = JSON.stringify({ at, sink, reason }).slice(0, -1);
    const line = Buffer.concat([Buffer.from(`${head},"event":`), text, Buffer.from('}\n')]);
    const file = await openForAppend(this.#path);
    try {
      await this.#mendTornLine(file);
      const { size } = await file.stat();
      try {
        await file.writeFile(line);
        await file.sync();
      } catch (error) {
        await file.truncate(size).catch(() => {});
        throw error;
      }
      if (size === 0) await syncDirectory(dirname(this.#path));
    } finally {
      await file.close();
    }
    this.#known.add(key);
  }

  /** A last line without its end was cut off by a crash: it moves to `<sink>.torn`, its event comes again. */
  async #mendTornLine(file: FileHandle): Promise<void> {
    const { size } = await file.stat();
    if (size === 0) return;
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, size - 1);
    if (last[0] === 0x0a) return;
    const start = await startOfLastLine(file, size);
    const torn = Buffer.alloc(size - start);
    await file.read(torn, 0, torn.length, start);
    const aside = await openForAppend(join(this.#options.directory, `${this.#options.name}.torn`));
    try {
      await aside.writeFile(Buffer.concat([torn, Buffer.from('\n')]));
      await aside.sync();
    } finally {
      await aside.close();
    }
    await file.truncate(start);
    await file.sync();
  }
}

const keyOf = (id: Cursor, text: Buffer) => `${id} ${hash('sha256', text, 'base64')}`;

async function startOfLastLine(file: FileHandle, size: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0; end -= chunk.length) {
    const start = Math.max(0, end - chunk.length);
    await file.read(chunk, 0, end - start, start);
    const at = chunk.subarray(0, end - start).lastIndexOf(0x0a);
    if (at !== -1) return start + at + 1;
  }
  return 0;
}

/** Raw line ends can only be white space between tokens. */
function oneLine(text: Buffer): Buffer {
  if (!text.includes(0x0a) && !text.includes(0x0d)) return text;
  return Buffer.from(text.map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte)));
}
