import type { FileHandle } from 'node:fs/promises';
import { type AuditEvent, auditEvent, type Cursor } from '../../event/event.ts';
import { digest } from '../../pipeline/history-check.ts';
import { emptyPage } from '../../source/range.ts';
import type { Page, Source } from '../../source/source.ts';
import { linesOf, openForReading, readLine } from '../../state/file/dead-letter-lines.ts';

/** Where the last line about one event stands in the file. */
interface Entry {
  readonly id: Cursor;
  readonly at: number;
  readonly bytes: number;
}

/** What a page may hold. */
const pageEvents = 1000;
const pageBytes = 8 * 1024 ** 2;

/** A dead letter read like a log: in order of id, each once. Memory is a few numbers an event. */
export class DeadLetterSource implements Source, AsyncDisposable {
  readonly trouble = undefined;
  /** Lines that are no refused event. */
  readonly unreadable: number;
  /** Earlier lines about an event that a later line tells of with another text (a log that was rewritten). */
  readonly replaced: number;
  readonly #file: FileHandle | undefined;
  readonly #entries: readonly Entry[];

  /** Takes in the events above `after` up to `until`. @throws the file system's error */
  static async open(path: string, after: Cursor, until: Cursor | undefined): Promise<DeadLetterSource> {
    const file = await openForReading(path);
    const entries = new Map<Cursor, Entry & { text: string }>();
    let [unreadable, replaced] = [0, 0];
    for await (const { at, bytes } of file === undefined ? [] : linesOf(file)) {
      const line = readLine(bytes);
      if (line === undefined) {
        unreadable += bytes.length === 0 ? 0 : 1;
        continue;
      }
      const { id } = line;
      if (id <= after || (until !== undefined && id > until)) continue;
      const text = digest(line.text);
      const known = entries.get(id);
      if (known !== undefined && known.text !== text) replaced += 1;
      entries.set(id, { id, at, bytes: bytes.length, text });
    }
    const sorted = [...entries.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return new DeadLetterSource(file, sorted, unreadable, replaced);
  }

  private constructor(file: FileHandle | undefined, entries: readonly Entry[], unreadable: number, replaced: number) {
    this.#file = file;
    this.#entries = entries;
    this.unreadable = unreadable;
    this.replaced = replaced;
  }

  get size(): number {
    return this.#entries.length;
  }
  get first(): Cursor | undefined {
    return this.#entries[0]?.id;
  }
  get last(): Cursor | undefined {
    return this.#entries.at(-1)?.id;
  }

  async page(after: Cursor): Promise<Page> {
    const from = this.#entries.findIndex(({ id }) => id > after);
    const events: AuditEvent[] = [];
    let bytes = 0;
    for (const entry of from === -1 ? [] : this.#entries.slice(from, from + pageEvents)) {
      bytes += entry.bytes;
      if (events.length > 0 && bytes > pageBytes) break;
      events.push(await this.#read(entry));
    }
    return { ...emptyPage(after), events };
  }

  async peek(after: Cursor): Promise<Page> {
    const entry = this.#entries.find(({ id }) => id > after);
    return { ...emptyPage(after), events: entry === undefined ? [] : [await this.#read(entry)] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }

  async #read({ id, at, bytes }: Entry): Promise<AuditEvent> {
    const buffer = Buffer.alloc(bytes);
    await this.#file?.read(buffer, 0, bytes, at);
    const line = readLine(buffer);
    if (line?.id !== id) throw new Error('the dead letter was changed while it was read');
    return auditEvent({ id, text: line.text, value: line.value, receivedAtMs: line.atMs });
  }
}
