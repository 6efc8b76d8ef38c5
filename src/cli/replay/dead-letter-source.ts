import type { AuditEvent, Cursor } from '../../event/event.ts';
import { emptyPage } from '../../source/range.ts';
import type { Page, Source } from '../../source/source.ts';
import type { DeadLetterStore } from '../../state/store.ts';

/** The most that a page holds. */
const pageEvents = 1000;
const pageBytes = 8 * 1024 ** 2;

interface Reading {
  after: Cursor;
  readonly events: AsyncIterator<AuditEvent>;
  next: AuditEvent | undefined;
}

/** Dead letters read like a log: in order of id, each event once. */
export class DeadLetterSource implements Source, AsyncDisposable {
  readonly lastError = undefined;
  readonly #letters: DeadLetterStore;
  readonly #until: Cursor;
  /** Where the last page ended: the next one continues there without another search. */
  #reading: Reading | undefined;

  constructor(letters: DeadLetterStore, until: Cursor) {
    this.#letters = letters;
    this.#until = until;
  }

  async page(after: Cursor): Promise<Page> {
    const reading = this.#reading?.after === after ? this.#reading : await this.#restart(after);
    const events: AuditEvent[] = [];
    let bytes = 0;
    while (reading.next !== undefined && events.length < pageEvents) {
      bytes += reading.next.text.length;
      if (events.length > 0 && bytes > pageBytes) break;
      events.push(reading.next);
      reading.after = reading.next.id;
      reading.next = (await reading.events.next()).value;
    }
    return { ...emptyPage(after), events };
  }

  async peek(after: Cursor): Promise<Page> {
    const { next } = await this.#restart(after);
    return { ...emptyPage(after), events: next === undefined ? [] : [next] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading?.events.return?.();
  }

  async #restart(after: Cursor): Promise<Reading> {
    await this.#reading?.events.return?.();
    const events = this.#letters.entries({ after, until: this.#until })[Symbol.asyncIterator]();
    this.#reading = { after, events, next: (await events.next()).value };
    return this.#reading;
  }
}
