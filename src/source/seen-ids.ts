import type { AuditEvent, Cursor } from '../event/event.ts';
import { IdRanges } from '../event/id-ranges.ts';
import type { Moment } from '../lib/moment.ts';

export interface NewEvents {
  /** Events that no earlier page held. */
  readonly newEvents: readonly AuditEvent[];
  /** For each of them, milliseconds from `createdAt` to this page; empty if they may have waited for us. */
  readonly delaysMs: readonly number[];
}

/** If the end of the log was last seen longer ago, an event's delay says nothing about the server, milliseconds. */
const attentiveMs = 5 * 60_000;

/** Ids stored one by one, at most twice as many. */
const MAX_IDS = 30_000;

/**
 * Finds the events of a page that were never fetched before: ids outside the ranges of the log that pages have covered, and
 * ids that appeared late inside them. Only the newest ids are stored one by one; below them everything inside a range
 * counts as fetched.
 */
export class SeenIds {
  /** Ranges read, `]from, to]`, ascending and disjoint: about one per pipeline. */
  #read: { from: Cursor; to: Cursor }[] = [];
  /** Every id fetched that is greater than `#forgotten`, in two generations. */
  #seen = new IdRanges();
  #seenBefore = new IdRanges();
  #forgotten: Cursor = -1n;
  /** When the end of the log was last seen. */
  #endSeen: Moment | undefined;

  take(after: Cursor, events: readonly AuditEvent[], asked: Moment, answered: Moment): NewEvents {
    const last = events.at(-1)?.id ?? after;
    const greatest = this.#read.at(-1)?.to ?? after;
    const isCovered = ({ id }: AuditEvent) => this.#read.some(({ from, to }) => id > from && id <= to);
    const newEvents = after >= greatest ? events : events.filter((event) => this.#isUnseen(event) || !isCovered(event));
    const isTimely = (event: AuditEvent) => event.id > greatest || isCovered(event);
    const delaysMs = this.#isAttentive(asked) ? delays(newEvents.filter(isTimely), asked, answered) : [];
    this.#cover(after, last);
    this.#remember(newEvents);
    if (newEvents.length === 0 && last >= greatest) this.#endSeen = asked;
    else if (last > greatest && delaysMs.length === 0) this.#endSeen = undefined;
    return { newEvents, delaysMs };
  }

  #isAttentive({ monotonicMs }: Moment): boolean {
    return this.#endSeen !== undefined && monotonicMs - this.#endSeen.monotonicMs <= attentiveMs;
  }

  #isUnseen({ id }: AuditEvent): boolean {
    return id > this.#forgotten && !this.#seen.has(id) && !this.#seenBefore.has(id);
  }

  #remember(events: readonly AuditEvent[]): void {
    this.#seen.addAll(events.map(({ id }) => id));
    if (this.#seen.size < MAX_IDS) return;
    const { last } = this.#seenBefore;
    if (last !== undefined && last > this.#forgotten) this.#forgotten = last;
    this.#seenBefore = this.#seen;
    this.#seen = new IdRanges();
  }

  #cover(from: Cursor, to: Cursor): void {
    const merged = { from, to };
    const disjoint = this.#read.filter((other) => {
      if (other.to < merged.from || other.from > merged.to) return true;
      if (other.from < merged.from) merged.from = other.from;
      if (other.to > merged.to) merged.to = other.to;
      return false;
    });
    this.#read = [...disjoint, merged].sort((a, b) => (a.from < b.from ? -1 : 1));
  }
}

function delays(events: readonly AuditEvent[], asked: Moment, answered: Moment): number[] {
  if (asked.serverMs === undefined || answered.serverMs === undefined) return [];
  const seenMs = (asked.serverMs + answered.serverMs) / 2;
  return events
    .map(({ createdAtMs }) => createdAtMs)
    .filter((ms) => ms !== undefined)
    .map((ms) => Math.max(0, seenMs - ms));
}
