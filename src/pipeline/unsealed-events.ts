// Above 250 lines: one data structure.
import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import type { IdRanges } from '../event/id-ranges.ts';
import { type Hash, LeafHasher } from '../evidence/merkle.ts';
import {
  type EventStatus,
  hasRecord,
  parseUnsealed,
  partOf,
  printUnsealed,
  type UnsealedRun,
} from '../evidence/unsealed.ts';
import type { SealStore } from '../state/store.ts';

interface UnsealedEventsOptions {
  readonly store: SealStore;
  /** Ids up to here are sealed. */
  readonly after: Cursor;
  /** The bytes of a record as the destination gets them. */
  readonly recordOf: (encoded: Encoded) => Uint8Array;
  /** The most events that are on the wire at once, as far as the sink knows by now. */
  readonly mostInFlight: () => number;
}

/** The stored entries are written again, without those that are sealed, when there are this many more of them than live ones. */
const mostSealedEntries = 4_000;

/**
 * The events above the newest sealed position that were sent, filtered or dead-lettered. Their hashes can't be computed later
 * (the configuration may have changed since), so those that a start would miss are stored before the checkpoint that counts
 * on them: all that are done, and those on the wire if a later process may learn that they arrived.
 *
 * They are held in runs: usually the records of one batch, which are sent, confirmed and sealed together. Runs are ascending
 * and disjoint; one is split where another comes between, or where only a part of it changes.
 */
export class UnsealedEvents {
  readonly #options: UnsealedEventsOptions;
  readonly #hasher = new LeafHasher();
  #runs: UnsealedRun[] = [];
  /** Not stored as they are now. */
  readonly #changed = new Set<UnsealedRun>();
  /** Events that the store has, sealed ones included. */
  #stored = 0;
  #after: Cursor;
  /** Delivered by an earlier process that did not store their hashes. */
  readonly #unknown = new Set<Cursor>();
  /** How many events were sent since the start, while a process that died may have sent the same ones; undefined otherwise. */
  #doubted: number | undefined;

  constructor(options: UnsealedEventsOptions) {
    this.#options = options;
    this.#after = options.after;
  }

  /** Loads what is stored; `done`: the ids that the checkpoint counts as done. @throws the storage's error */
  async load(done: IdRanges): Promise<void> {
    for (const line of await this.#options.store.unsealed()) {
      const run = parseUnsealed(line);
      // The events of a damaged line are delivered again, like those of a missing one.
      if (run === undefined) continue;
      this.#stored += run.ids.length;
      this.#remove(this.#select(run.ids).runs);
      this.#insert(run);
    }
    this.takeUpTo(this.#after);
    const doneIds = this.#runs.flatMap(({ ids }) => ids.filter((id) => done.has(id)));
    const isDone = new Set(this.#select(doneIds).runs);
    this.#runs = this.#runs.flatMap((run): UnsealedRun[] => {
      if (isDone.has(run)) return [run.status === 'sent' ? { ...run, status: 'delivered' } : run];
      return hasRecord(run) ? [{ ...run, status: 'sent' }] : [];
    });
  }

  has(id: Cursor): boolean {
    return this.#place(id) !== undefined;
  }

  /** An earlier process died, and the first events from here on may be what it had on the wire. */
  doubt(): void {
    this.#doubted = 0;
  }

  /** These records are about to be sent. */
  sent(batch: readonly Encoded[]): void {
    const records = this.#unsealed(batch, ({ event }) => event.id);
    const known = this.#select(records.map(({ event }) => event.id)).runs;
    if (known.length === 0) {
      this.#addSent(records);
      return;
    }
    const knownIds = new Set(known.flatMap(({ ids }) => ids));
    this.#remove(known);
    this.#addSent(
      records.filter(({ event }) => knownIds.has(event.id)),
      'sent again',
    );
    this.#addSent(records.filter(({ event }) => !knownIds.has(event.id)));
  }

  /** The destination has none of these for certain. */
  refused(records: readonly Encoded[]): void {
    const { runs } = this.#select(records.map(({ event }) => event.id));
    this.#remove(runs.filter(({ status, resent }) => status === 'sent' && resent === undefined));
  }

  /** @returns those that are not known; they count as sent again when they are sent */
  delivered(ids: readonly Cursor[]): readonly Cursor[] {
    const { runs, unknown } = this.#select(this.#unsealed(ids, (id) => id));
    for (const run of runs) if (run.status === 'sent') this.#change(run, { ...run, status: 'delivered' });
    this.expectAgain(unknown);
    return unknown;
  }

  /** An earlier process delivered these without storing their hashes. */
  expectAgain(ids: readonly Cursor[]): void {
    for (const id of ids) this.#unknown.add(id);
  }

  filtered(events: readonly AuditEvent[]): void {
    this.#addWithoutRecord(events, 'filtered');
  }

  deadLettered(event: AuditEvent): void {
    this.#addWithoutRecord([event], 'deadLettered');
  }

  /** Removes and returns the events up to `after`, ascending, that are done. */
  takeUpTo(after: Cursor): readonly UnsealedRun[] {
    if (after > this.#after) this.#after = after;
    this.#splitAt(after + 1n);
    const end = this.#indexOf(after + 1n);
    const taken = this.#runs.splice(0, end);
    for (const run of taken) this.#changed.delete(run);
    // What is still `sent` disappeared from the log before it was confirmed.
    return taken.filter(({ status }) => status !== 'sent');
  }

  /** A later process must know of these records, or (`undefined`) of all that are on the wire. */
  storeSent(records?: readonly Encoded[]): void {
    const runs = records === undefined ? this.#runs : this.#select(records.map(({ event }) => event.id)).runs;
    for (const run of runs) if (run.status === 'sent') this.#changed.add(run);
  }

  /** Stores what changed until now; durable once it resolves. @throws the storage's error */
  async save(): Promise<void> {
    const { store } = this.#options;
    const changed = [...this.#changed];
    this.#changed.clear();
    const added = sizeOf(changed);
    const live = sizeOf(this.#runs);
    try {
      if (this.#stored + added > live + mostSealedEntries) {
        this.#stored = live;
        await store.replaceUnsealed(this.#runs.map(printUnsealed));
      } else if (added > 0) {
        this.#stored += added;
        await store.addUnsealed(changed.map(printUnsealed));
      }
    } catch (error) {
      // Meanwhile they may have been split, or be others: what holds their ids now is to be stored.
      for (const { ids } of changed) for (const run of this.#select(ids).runs) this.#changed.add(run);
      throw error;
    }
  }

  /** Those above the sealed position; all of them, usually. */
  #unsealed<T>(items: readonly T[], idOf: (item: T) => Cursor): readonly T[] {
    const [first] = items;
    return first === undefined || idOf(first) > this.#after ? items : items.filter((item) => idOf(item) > this.#after);
  }

  #addSent(records: readonly Encoded[], again?: string): void {
    if (records.length === 0) return;
    const { recordOf } = this.#options;
    const sources: Hash[] = [];
    const sent: Hash[] = [];
    let isVerbatim = true;
    for (const encoded of records) {
      const { event } = encoded;
      const source = this.#hasher.hash(event.id, event.text);
      const bytes = recordOf(encoded);
      const isSame = isSameBytes(bytes, event.text);
      sources.push(source);
      sent.push(isSame ? source : this.#hasher.hash(event.id, bytes));
      isVerbatim &&= isSame;
    }
    const ids = records.map(({ event }) => event.id);
    const isUnknown = this.#unknown.size > 0 && ids.filter((id) => this.#unknown.delete(id)).length > 0;
    const resent = again ?? (this.#isDoubtful(records.length) || isUnknown ? 'restart' : undefined);
    const times = records.map(({ event }) => event.createdAtMs);
    this.#insert({ ids, status: 'sent', sources, records: isVerbatim ? undefined : sent, times, resent });
  }

  /** Whether the next `count` events that are sent may be among those of the dead process. */
  #isDoubtful(count: number): boolean {
    if (this.#doubted === undefined) return false;
    const isDoubtful = this.#doubted < this.#options.mostInFlight();
    this.#doubted = isDoubtful ? this.#doubted + count : undefined;
    return isDoubtful;
  }

  #addWithoutRecord(given: readonly AuditEvent[], status: EventStatus): void {
    const events = this.#unsealed(given, ({ id }) => id);
    if (events.length === 0) return;
    const ids = events.map(({ id }) => id);
    const known = this.#select(ids).runs;
    this.#remove(known);
    const added: UnsealedRun = {
      ...{ ids, status, records: undefined, resent: known.find(({ resent }) => resent !== undefined)?.resent },
      sources: events.map(({ id, text }) => this.#hasher.hash(id, text)),
      times: events.map(({ createdAtMs }) => createdAtMs),
    };
    for (const run of this.#insert(added)) this.#changed.add(run);
  }

  /** Adds a run, none of whose ids is known, in as many parts as there are runs between its ids. */
  #insert(run: UnsealedRun): readonly UnsealedRun[] {
    const parts: UnsealedRun[] = [];
    let rest = run;
    for (;;) {
      const [first, last] = [rest.ids[0] as Cursor, rest.ids.at(-1) as Cursor];
      this.#splitAt(first);
      const at = this.#indexOf(first);
      const next = this.#runs[at]?.ids[0];
      const fits = next === undefined || next > last ? rest.ids.length : rest.ids.findIndex((id) => id > next);
      const part = fits === rest.ids.length ? rest : partOf(rest, 0, fits);
      this.#runs.splice(at, 0, part);
      parts.push(part);
      if (fits === rest.ids.length) return parts;
      rest = partOf(rest, fits, rest.ids.length);
    }
  }

  /** The runs that hold exactly the known ones of these ids, which ascend; runs are split for that. */
  #select(ids: readonly Cursor[]): { readonly runs: readonly UnsealedRun[]; readonly unknown: readonly Cursor[] } {
    const runs: UnsealedRun[] = [];
    const unknown: Cursor[] = [];
    for (let at = 0; at < ids.length; ) {
      const id = ids[at] as Cursor;
      const place = this.#place(id);
      if (place === undefined) {
        unknown.push(id);
        at += 1;
        continue;
      }
      const run = this.#runs[place.run] as UnsealedRun;
      let end = place.index + 1;
      while (end < run.ids.length && run.ids[end] === ids[at + end - place.index]) end++;
      at += end - place.index;
      runs.push(this.#isolate(place.run, place.index, end));
    }
    return { runs, unknown };
  }

  /** Splits a run so that the part from one index to another stands alone. */
  #isolate(at: number, from: number, to: number): UnsealedRun {
    const run = this.#runs[at] as UnsealedRun;
    if (from === 0 && to === run.ids.length) return run;
    const part = partOf(run, from, to);
    const [before, after] = [partOf(run, 0, from), partOf(run, to, run.ids.length)];
    const parts = [before, part, after].filter(({ ids }) => ids.length > 0);
    this.#runs.splice(at, 1, ...parts);
    if (this.#changed.delete(run)) for (const one of parts) this.#changed.add(one);
    return part;
  }

  /** No run holds ids on both sides of `id` afterwards. */
  #splitAt(id: Cursor): void {
    const at = this.#indexOf(id) - 1;
    const run = this.#runs[at];
    if (run === undefined || (run.ids.at(-1) as Cursor) < id) return;
    this.#isolate(at, 0, indexIn(run.ids, id));
  }

  #change(run: UnsealedRun, changed: UnsealedRun): void {
    this.#runs[this.#indexOf(run.ids[0] as Cursor)] = changed;
    this.#changed.delete(run);
    this.#changed.add(changed);
  }

  #remove(runs: readonly UnsealedRun[]): void {
    for (const run of runs) {
      this.#runs.splice(this.#indexOf(run.ids[0] as Cursor), 1);
      this.#changed.delete(run);
    }
  }

  /** Where an id is. */
  #place(id: Cursor): { readonly run: number; readonly index: number } | undefined {
    let run = this.#indexOf(id);
    if (this.#runs[run]?.ids[0] !== id) run -= 1;
    const ids = this.#runs[run]?.ids;
    const index = ids === undefined ? -1 : indexIn(ids, id);
    return ids?.[index] === id ? { run, index } : undefined;
  }

  /** Index of the first run whose first id is not less. */
  #indexOf(id: Cursor): number {
    let [low, high] = [0, this.#runs.length];
    const last = this.#runs.at(-1)?.ids[0];
    if (last === undefined || last < id) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.ids[0] as Cursor) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first id that is not less; ids ascend. */
function indexIn(ids: readonly Cursor[], id: Cursor): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as Cursor) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const sizeOf = (runs: readonly UnsealedRun[]) => runs.reduce((sum, { ids }) => sum + ids.length, 0);

function isSameBytes(bytes: Uint8Array, text: Buffer): boolean {
  const isView = bytes.buffer === text.buffer && bytes.byteOffset === text.byteOffset;
  return isView ? bytes.byteLength === text.byteLength : text.equals(bytes);
}
