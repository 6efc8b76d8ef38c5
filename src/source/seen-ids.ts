import type { AuditEvent, Cursor } from '../event/event.ts';
import { IdRanges } from '../event/id-ranges.ts';
import type { Moment } from '../lib/moment.ts';

export interface NewEvents {
  /** Events that no earlier page held. */
  readonly fresh: readonly AuditEvent[];
  /** For each of them, how long it took from `createdAt` to this page; empty where they may have waited for us. */
  readonly delaysMs: readonly number[];
}

/** Looked for less often than this, an event's wait says nothing of the server, milliseconds. */
const attentiveMs = 5 * 60_000;

/** So many ids are kept one by one, twice over. */
const idsKept = 30_000;

/**
 * Tells what of a page was never fetched before: ids outside the stretches of the log that pages have covered, and
 * those that appeared late within such a stretch. Ids are kept one by one only for the newest; below, what lies within
 * a stretch counts as fetched.
 */
export class SeenIds {
  /** Stretches read, `]from, to]`, ascending and apart: about one for each route. */
  #read: { from: Cursor; to: Cursor }[] = [];
  /** Every id fetched that is greater than `#forgotten`. */
  #seen = new IdRanges();
  #seenBefore = new IdRanges();
  #forgotten: Cursor = -1n;
  /** When the end of the log was last seen. */
  #endSeen: Moment | undefined;

  take(after: Cursor, events: readonly AuditEvent[], asked: Moment, answered: Moment): NewEvents {
    const last = events.at(-1)?.id ?? after;
    const greatest = this.#read.at(-1)?.to ?? after;
    const isCovered = ({ id }: AuditEvent) => this.#read.some(({ from, to }) => id > from && id <= to);
    const fresh = after >= greatest ? events : events.filter((event) => this.#isUnseen(event) || !isCovered(event));
    const isTimely = (event: AuditEvent) => event.id > greatest || isCovered(event);
    const delaysMs = this.#isAttentive(asked) ? delays(fresh.filter(isTimely), asked, answered) : [];
    this.#cover(after, last);
    this.#remember(fresh);
    if (fresh.length === 0 && last >= greatest) this.#endSeen = asked;
    else if (last > greatest && delaysMs.length === 0) this.#endSeen = undefined;
    return { fresh, delaysMs };
  }

  #isAttentive({ monotonicMs }: Moment): boolean {
    return this.#endSeen !== undefined && monotonicMs - this.#endSeen.monotonicMs <= attentiveMs;
  }

  #isUnseen({ id }: AuditEvent): boolean {
    return id > this.#forgotten && !this.#seen.has(id) && !this.#seenBefore.has(id);
  }

  #remember(events: readonly AuditEvent[]): void {
    this.#seen.addAll(events.map(({ id }) => id));
    if (this.#seen.size < idsKept) return;
    const { last } = this.#seenBefore;
    if (last !== undefined && last > this.#forgotten) this.#forgotten = last;
    this.#seenBefore = this.#seen;
    this.#seen = new IdRanges();
  }

  #cover(from: Cursor, to: Cursor): void {
    const merged = { from, to };
    const apart = this.#read.filter((other) => {
      if (other.to < merged.from || other.from > merged.to) return true;
      if (other.from < merged.from) merged.from = other.from;
      if (other.to > merged.to) merged.to = other.to;
      return false;
    });
    this.#read = [...apart, merged].sort((a, b) => (a.from < b.from ? -1 : 1));
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
