import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import type { IdRanges } from '../event/id-ranges.ts';
import { leafHash } from '../evidence/merkle.ts';
import { type EventStatus, parseUnsealed, printUnsealed, type UnsealedEvent } from '../evidence/unsealed.ts';
import type { SealStore } from '../state/store.ts';

interface UnsealedEventsOptions {
  readonly store: SealStore;
  /** Ids up to here are sealed. */
  readonly after: Cursor;
  /** The bytes of a record as the destination gets them. */
  readonly recordOf: (encoded: Encoded) => Uint8Array;
}

/** The stored entries are written again, without those that are sealed, when there are this many more of them than live ones. */
const mostSealedEntries = 4_000;

/**
 * The events above the newest sealed position that were sent, filtered or dead-lettered. Their hashes can't be computed later
 * (the configuration may have changed since), so those that a start would miss are stored before the checkpoint that counts
 * on them: all that are done, and those on the wire if a later process may learn that they arrived.
 */
export class UnsealedEvents {
  readonly #options: UnsealedEventsOptions;
  readonly #events = new Map<Cursor, UnsealedEvent>();
  /** The ids of `#events`, ascending. */
  #order: Cursor[] = [];
  /** Not stored as they are now. */
  readonly #changed = new Set<UnsealedEvent>();
  /** Entries that the store has, sealed ones included. */
  #stored = 0;
  #after: Cursor;
  /** Delivered by an earlier process that did not store their hashes. */
  readonly #unknown = new Set<Cursor>();
  /** So many of the next events may have been sent by a process that died. */
  #doubtful = 0;

  constructor(options: UnsealedEventsOptions) {
    this.#options = options;
    this.#after = options.after;
  }

  /** Loads what is stored; `done`: the ids that the checkpoint counts as done. @throws the storage's error */
  async load(done: IdRanges): Promise<void> {
    // The events of a damaged line are delivered again, like those of a missing one.
    for (const line of await this.#options.store.unsealed())
      for (const event of parseUnsealed(line) ?? []) {
        this.#stored += 1;
        this.#events.set(event.id, event);
      }
    for (const [id, event] of this.#events) {
      const isDone = done.has(id);
      const hasRecord = event.record !== undefined;
      if (id <= this.#after || !(isDone || hasRecord)) this.#events.delete(id);
      else if (hasRecord) event.status = isDone ? 'delivered' : 'sent';
    }
    this.#order = [...this.#events.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  get last(): Cursor | undefined {
    return this.#order.at(-1);
  }

  has(id: Cursor): boolean {
    return this.#events.has(id);
  }

  /** An earlier process died, and the next `count` events may be what it had on the wire. */
  doubt(count: number): void {
    this.#doubtful = count;
  }

  /** These records are about to be sent. */
  sent(records: readonly Encoded[]): void {
    const { recordOf } = this.#options;
    for (const encoded of records) {
      const { event } = encoded;
      if (event.id <= this.#after) continue;
      const bytes = recordOf(encoded);
      const known = this.#events.get(event.id);
      if (known !== undefined) {
        known.record = leafHash(event.id, bytes);
        known.status = 'sent';
        known.resent ??= 'sent again';
        continue;
      }
      const source = leafHash(event.id, event.text);
      const record = isSame(bytes, event.text) ? source : leafHash(event.id, bytes);
      const resent = this.#doubtful > 0 || this.#unknown.delete(event.id) ? 'restart' : undefined;
      if (this.#doubtful > 0) this.#doubtful -= 1;
      this.#add(event, { status: 'sent', source, record, resent });
    }
  }

  /** The destination has none of these for certain. */
  refused(records: readonly Encoded[]): void {
    for (const { event } of records) {
      const known = this.#events.get(event.id);
      if (known?.status !== 'sent' || known.resent !== undefined) continue;
      this.#events.delete(event.id);
      this.#changed.delete(known);
      this.#order.splice(this.#indexOf(event.id), 1);
    }
  }

  /** @returns those that are not known; they count as sent again when they are sent */
  delivered(ids: readonly Cursor[]): readonly Cursor[] {
    const unknown: Cursor[] = [];
    for (const id of ids) {
      const known = this.#events.get(id);
      if (known === undefined && id > this.#after) unknown.push(id);
      if (known?.status !== 'sent') continue;
      known.status = 'delivered';
      this.#changed.add(known);
    }
    for (const id of unknown) this.#unknown.add(id);
    return unknown;
  }

  filtered(events: readonly AuditEvent[]): void {
    for (const event of events) this.#without(event, 'filtered');
  }

  deadLettered(event: AuditEvent): void {
    this.#without(event, 'deadLettered');
  }

  /** Removes and returns the events up to `after`, ascending, that are done. */
  takeUpTo(after: Cursor): readonly UnsealedEvent[] {
    if (after > this.#after) this.#after = after;
    return this.#order.splice(0, this.#indexOf(after + 1n)).flatMap((id) => {
      const event = this.#events.get(id);
      this.#events.delete(id);
      if (event === undefined) return [];
      this.#changed.delete(event);
      // What is still `sent` disappeared from the log before it was confirmed.
      return event.status === 'sent' ? [] : [event];
    });
  }

  /** A later process must know of these records, or (`undefined`) of all that are on the wire. */
  storeSent(records?: readonly Encoded[]): void {
    const events = records?.flatMap(({ event }) => this.#events.get(event.id) ?? []) ?? this.#events.values();
    for (const event of events) if (event.status === 'sent') this.#changed.add(event);
  }

  /** Stores what changed until now; durable once it resolves. @throws the storage's error */
  async save(): Promise<void> {
    const { store } = this.#options;
    const changed = [...this.#changed];
    this.#changed.clear();
    try {
      if (this.#stored + changed.length > this.#events.size + mostSealedEntries) {
        this.#stored = this.#events.size;
        await store.replaceUnsealed(printUnsealed(this.#order.flatMap((id) => this.#events.get(id) ?? [])));
      } else if (changed.length > 0) {
        this.#stored += changed.length;
        await store.addUnsealed(printUnsealed(changed.sort((a, b) => (a.id < b.id ? -1 : 1))));
      }
    } catch (error) {
      for (const event of changed) if (event.id > this.#after) this.#changed.add(event);
      throw error;
    }
  }

  #without(event: AuditEvent, status: EventStatus): void {
    if (event.id <= this.#after) return;
    const known = this.#events.get(event.id);
    const changed = known ?? this.#add(event, { status, source: leafHash(event.id, event.text) });
    changed.status = status;
    changed.record = undefined;
    this.#changed.add(changed);
  }

  #add(
    { id, createdAtMs }: AuditEvent,
    more: Pick<UnsealedEvent, 'status' | 'source'> & Partial<UnsealedEvent>,
  ): UnsealedEvent {
    const added = { record: undefined, resent: undefined, ...more, id, createdAtMs };
    this.#events.set(id, added);
    const last = this.#order.at(-1);
    if (last === undefined || id > last) this.#order.push(id);
    else this.#order.splice(this.#indexOf(id), 0, id);
    return added;
  }

  /** Index of the first id that is not less. */
  #indexOf(id: Cursor): number {
    let low = 0;
    let high = this.#order.length;
    const last = this.#order.at(-1);
    if (last === undefined || last < id) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] as Cursor) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isSame(bytes: Uint8Array, text: Buffer): boolean {
  return bytes.buffer === text.buffer && bytes.byteOffset === text.byteOffset
    ? bytes.byteLength === text.byteLength
    : text.equals(bytes);
}
