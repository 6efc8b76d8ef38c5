// Above 250 lines: writing, looking up and moving the file of one sink belong together.
import { hash } from 'node:crypto';
import { type FileHandle, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type AuditEvent, auditEvent, type Cursor } from '../../event/event.ts';
import { Mutex } from '../../lib/mutex.ts';
import type { DeadLetter, DeadLetterStore, DeadLetterSummary, IdInterval } from '../store.ts';
import { type Line, linesOf, readLine, readWindow, type Window } from './dead-letter-lines.ts';
import {
  ignore,
  ignoreFileSystem,
  isSameFile,
  makeDirectory,
  moveFile,
  openForAppend,
  openForReading,
  syncDirectory,
} from './durable.ts';

export interface DeadLetterFileOptions {
  /** `<state>/dead-letter`; created if it is missing. */
  readonly directory: string;
  /** File name without its ending. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Ids held in memory at a time; default 10,000. */
  readonly windowIds?: number;
}

/** Some of the events that the file holds: those with an id in `(after, end]`; without `end` all above `after`. */
interface Known {
  readonly after: Cursor;
  readonly end: Cursor | undefined;
  /** Digests of their texts. */
  readonly ids: Map<Cursor, readonly string[]>;
}

/** Where the newest line about an event is. */
interface Place {
  readonly at: number;
  readonly bytes: number;
  readonly digest: string;
  /** Older lines about the same id with another text. */
  readonly replaced: number;
}

/**
 * Rejected records in `<state>/dead-letter/<name>.ndjson`, one JSON object a line: `{ at, sink, reason, event }`.
 *
 * After a crash an event may come again that is in the file already. Which events these are is looked up in windows of
 * ids: memory stays bounded however long the file is and however far a cursor was set back.
 */
export class DeadLetterFile implements DeadLetterStore {
  readonly location: string;
  readonly #options: DeadLetterFileOptions;
  readonly #windowIds: number;
  readonly #turns = new Mutex();
  /** Below it nothing is looked up: everything there is done. */
  #floor: Cursor | undefined;
  #known: Known | undefined;

  constructor(options: DeadLetterFileOptions) {
    this.#options = options;
    this.#windowIds = options.windowIds ?? 10_000;
    this.location = join(options.directory, `${options.name}.ndjson`);
  }

  open(after: Cursor): Promise<void> {
    return this.#turns.take(async () => {
      this.#floor = after;
      await using file = await this.#openForAppend();
      await this.#moveTornLine(file);
      const known = await this.#lookUp(file, after);
      if (known.ids.size === 0) return;
      // The process that wrote them may have died before it synced.
      await file.sync();
      await syncDirectory(this.#options.directory);
    });
  }

  async probe(): Promise<void> {
    await (await this.#openForAppend()).close();
  }

  append(letter: DeadLetter): Promise<void> {
    return this.#turns.take(() => this.#append(letter));
  }

  async *entries({ after, until }: IdInterval): AsyncGenerator<AuditEvent> {
    await using file = await openForReading(this.location);
    if (file === undefined) return;
    for (let from: Cursor | undefined = after; from !== undefined; ) {
      const window: Window<Place> = await readWindow(file, { after: from, until }, this.#windowIds, place);
      for (const [id, { at, bytes }] of window.ids) yield await this.#eventAt(file, id, at, bytes);
      from = window.end;
    }
  }

  async summary({ after, until }: IdInterval): Promise<DeadLetterSummary> {
    let [events, replaced, unreadable] = [0, 0, 0];
    let first: Cursor | undefined;
    let last: Cursor | undefined;
    await using file = await openForReading(this.location);
    for (let from: Cursor | undefined = after; from !== undefined && file !== undefined; ) {
      const window: Window<Place> = await readWindow(file, { after: from, until }, this.#windowIds, place);
      for (const [id, counts] of window.ids) {
        first ??= id;
        last = id;
        events += 1;
        replaced += counts.replaced;
      }
      unreadable = window.unreadable;
      from = window.end;
    }
    return { events, ...(first !== undefined && { first }), ...(last !== undefined && { last }), unreadable, replaced };
  }

  async count(): Promise<number> {
    await using file = await openForReading(this.location);
    if (file === undefined) return 0;
    let count = 0;
    for await (const { bytes } of linesOf(file)) if (bytes.length > 0) count += 1;
    return count;
  }

  async #append({ sink, reason, event }: DeadLetter): Promise<void> {
    const text = oneLine(event.text);
    await using file = await this.#openForAppend();
    await this.#moveTornLine(file);
    const digest = digestOf(text);
    const known = await this.#knownAround(file, event.id);
    if (known?.ids.get(event.id)?.includes(digest)) return;
    const at = new Date(this.#options.now()).toISOString();
    const head = JSON.stringify({ at, sink, reason }).slice(0, -1);
    const line = Buffer.concat([Buffer.from(`${head},"event":`), text, Buffer.from('}\n')]);
    const { size } = await file.stat();
    try {
      await file.writeFile(line);
      await file.sync();
    } catch (error) {
      // A part that can't be removed now is a torn line for the next append.
      await file.truncate(size).catch(ignoreFileSystem);
      throw error;
    }
    if (size === 0) await syncDirectory(dirname(this.location));
    known?.ids.set(event.id, [...(known.ids.get(event.id) ?? []), digest]);
    // Looked up again by the next append, which bounds it.
    if (known !== undefined && known.ids.size > 2 * this.#windowIds) this.#known = undefined;
  }

  /** What is known around `id`; undefined if nothing is looked up there. */
  async #knownAround(file: FileHandle, id: Cursor): Promise<Known | undefined> {
    if (this.#floor === undefined || id <= this.#floor) return undefined;
    const known = this.#known;
    const covers = known !== undefined && id > known.after && (known.end === undefined || id <= known.end);
    return covers ? known : await this.#lookUp(file, id - 1n);
  }

  async #lookUp(file: FileHandle, after: Cursor): Promise<Known> {
    const digests = ({ text }: { text: Buffer }, _: Line, before: readonly string[] = []) => [
      ...before,
      digestOf(text),
    ];
    const { ids, end } = await readWindow(file, { after }, this.#windowIds, digests);
    this.#known = { after, ids, end };
    return this.#known;
  }

  async #openForAppend(): Promise<FileHandle> {
    await makeDirectory(this.#options.directory);
    return openForAppend(this.location);
  }

  /** A last line without line feed was cut off by a crash: it moves to `<name>.torn`, and its event comes again. */
  async #moveTornLine(file: FileHandle): Promise<void> {
    const { size } = await file.stat();
    if (size === 0) return;
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, size - 1);
    if (last[0] === 0x0a) return;
    const start = await startOfLastLine(file, size);
    const torn = Buffer.alloc(size - start);
    await file.read(torn, 0, torn.length, start);
    await using tornFile = await openForAppend(join(this.#options.directory, `${this.#options.name}.torn`));
    await tornFile.writeFile(Buffer.concat([torn, Buffer.from('\n')]));
    await tornFile.sync();
    await file.truncate(start);
    await file.sync();
  }

  async #eventAt(file: FileHandle, id: Cursor, at: number, bytes: number): Promise<AuditEvent> {
    const buffer = Buffer.alloc(bytes);
    await file.read(buffer, 0, bytes, at);
    const line = readLine(buffer);
    if (line?.id !== id) throw new Error(`${this.location} was changed while it was read`);
    return auditEvent({ id, text: line.text, value: line.value, receivedAtMs: line.atMs });
  }
}

/** Another tenant's event may have the same id, so ids are not enough. */
const digestOf = (text: Buffer) => hash('sha256', text, 'base64');

function place({ text }: { text: Buffer }, { at, bytes }: Line, before: Place | undefined): Place {
  const digest = digestOf(text);
  const differs = before !== undefined && before.digest !== digest;
  return { at, bytes: bytes.length, digest, replaced: (before?.replaced ?? 0) + (differs ? 1 : 0) };
}

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

/** Raw line feeds and carriage returns can only be white space between tokens. */
function oneLine(text: Buffer): Buffer {
  if (!text.includes(0x0a) && !text.includes(0x0d)) return text;
  return Buffer.from(text.map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte)));
}

const endings = ['.ndjson', '.torn', '.replay.ndjson', '.replay.torn'];

/** A dead letter file that gets another name. */
interface Move {
  /** File name, without its directory. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** An empty file has the name, as a start leaves it. */
  readonly overEmpty: boolean;
}

/** The files that a rename of `sink` moves, or the file that prevents it. @throws the file system's error */
export async function deadLetterMoves(directory: string, sink: string, to: string): Promise<Move[] | string> {
  const moves: Move[] = [];
  for (const ending of endings) {
    const [from, target] = [join(directory, sink + ending), join(directory, to + ending)];
    const [old, taken] = [await sizeOf(from), await sizeOf(target)];
    if (old === undefined) continue;
    if (taken !== undefined && taken > 0 && old > 0 && !(await isSameFile(from, target))) return target;
    // If one of the two is empty, the other stays.
    if (taken === undefined || old > 0) moves.push({ name: sink + ending, from, to: target, overEmpty: taken === 0 });
  }
  return moves;
}

/** @throws the file system's error */
export async function moveDeadLetters(moves: readonly Move[]): Promise<void> {
  for (const { from, to, overEmpty } of moves) {
    if (overEmpty) await unlink(to).catch(ignore('ENOENT'));
    await moveFile(from, to);
    await syncDirectory(dirname(to));
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  await using file = await openForReading(path);
  return (await file?.stat())?.size;
}
