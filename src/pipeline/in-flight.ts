import type { Encoded } from '../event/event.ts';
import type { Reject, Verdict } from '../lib/verdict.ts';
import type { Sent } from '../sinks/sink.ts';

/** A batch on its way: `waiting` to be sent (again), or `sent` and not yet confirmed. */
export interface Entry {
  records: readonly Encoded[];
  state: 'waiting' | 'sent';
  /** Was sent at least once: it counts for the window until it is done. */
  open: boolean;
  /** Not to be tried before, monotonic milliseconds. */
  notBeforeMs: number;
  /** Number of its last sending, over all batches. */
  send: number;
  readonly offeredMs: number;
  /** A single record that was refused after it was sent: still to be set aside. */
  refused: Reject | undefined;
}

/** The batches between the reader and their confirmation, in the order they were offered. */
export class InFlight {
  readonly #entries: Entry[] = [];

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }
  /** The first record of all. */
  get oldest(): Encoded | undefined {
    return this.#entries[0]?.records[0];
  }
  /** Something is on the wire. */
  get anySent(): boolean {
    return this.#entries.some(({ state }) => state === 'sent');
  }
  /** Something has still to be sent. */
  get anyWaiting(): boolean {
    return this.#entries.some(({ state }) => state === 'waiting');
  }
  /** Something was never sent. */
  get anyUntried(): boolean {
    return this.#entries.some(({ open }) => !open);
  }

  push(records: readonly Encoded[], nowMs: number): void {
    const fresh = { state: 'waiting', open: false, notBeforeMs: 0, send: 0, refused: undefined } as const;
    this.#entries.push({ records, ...fresh, offeredMs: nowMs });
  }

  /** The first batch to be sent; a new one only while fewer than `window` are open. */
  next(window: number): Entry | undefined {
    const entry = this.#entries.find(({ state }) => state === 'waiting');
    if (entry === undefined || entry.open) return entry;
    return this.#entries.filter(({ open }) => open).length < window ? entry : undefined;
  }

  /** Puts the culprit alone, or halves where the guilty one is not known, in the place of `entry`. */
  isolate(entry: Entry, failedIndex: number | undefined): void {
    const { records } = entry;
    const known = failedIndex !== undefined && failedIndex >= 0 && failedIndex < records.length;
    const middle = records.length >> 1;
    this.split(entry, known ? [failedIndex, failedIndex + 1] : [middle]);
  }

  /** Cuts `entry` at the given indexes. */
  split(entry: Entry, cuts: readonly number[]): void {
    const edges = [0, ...cuts, entry.records.length];
    const parts = edges.slice(1).map((end, i) => entry.records.slice(edges[i], end));
    const entries = parts
      .filter((records) => records.length > 0)
      .map((records): Entry => ({ ...entry, records, state: 'waiting' }));
    this.#entries.splice(this.#entries.indexOf(entry), 1, ...entries);
  }

  remove(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
  }

  /** Lets every batch be tried at once. */
  hurry(): void {
    for (const entry of this.#entries) entry.notBeforeMs = 0;
  }
}

/** Takes from `entry` the leading records that `verdict` says got through; `rest` is the verdict on what is left. */
export function takeAcceptedPrefix<V extends Verdict | Sent>(
  entry: Entry,
  verdict: V,
): { taken: readonly Encoded[]; rest: V } {
  const most = entry.records.length - 1;
  const count =
    verdict.kind === 'accepted' || verdict.kind === 'sent' ? 0 : Math.min(verdict.acceptedPrefix ?? 0, most);
  const taken = entry.records.slice(0, count);
  if (count === 0) return { taken, rest: verdict };
  entry.records = entry.records.slice(count);
  const known = verdict.kind === 'reject' && verdict.failedIndex !== undefined;
  return { taken, rest: known ? { ...verdict, failedIndex: (verdict.failedIndex ?? 0) - count } : verdict };
}
