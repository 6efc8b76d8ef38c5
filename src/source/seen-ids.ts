import type { AuditEvent, Cursor } from '../event/event.ts';
import { IdRanges } from '../event/id-ranges.ts';
import type { Moment } from '../lib/moment.ts';

export interface NewEvents {
  /** Events that no earlier page held. */
  readonly newEvents: readonly AuditEvent[];
  /**
   * For each of them, milliseconds from `createdAt` until the API could have returned it: to this page, without the time that
   * its part of the log was not read although the end of the log was. Empty if they may have waited for us.
   */
  readonly delaysMs: readonly number[];
}

/** If the end of the log was last seen longer ago, an event's delay says nothing about the server, milliseconds. */
const attentiveMs = 5 * 60_000;

/** Newest pages whose time is remembered. */
const MAX_PAGES = 200;

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
  /** Which part of the log was read when, newest first. */
  #pages: { readonly from: Cursor; readonly to: Cursor; readonly askedMs: number }[] = [];
  /** When the end of the log was last seen. */
  #endSeen: Moment | undefined;

  take(after: Cursor, events: readonly AuditEvent[], asked: Moment, answered: Moment): NewEvents {
    const last = events.at(-1)?.id ?? after;
    const greatest = this.#read.at(-1)?.to ?? after;
    const isCovered = ({ id }: AuditEvent) => this.#read.some(({ from, to }) => id > from && id <= to);
    const newEvents = after >= greatest ? events : events.filter((event) => this.#isUnseen(event) || !isCovered(event));
    const isTimely = (event: AuditEvent) => event.id > greatest || isCovered(event);
    const timely = this.#isAttentive(asked) ? newEvents.filter(isTimely) : [];
    const delaysMs = delays(timely, asked, answered, (id) => this.#unreadMs(id));
    this.#pages = [{ from: after, to: last, askedMs: asked.monotonicMs }, ...this.#pages].slice(0, MAX_PAGES);
    this.#cover(after, last);
    this.#remember(newEvents);
    if (newEvents.length === 0 && last >= greatest) this.#endSeen = asked;
    else if (last > greatest && delaysMs.length === 0) this.#endSeen = undefined;
    return { newEvents, delaysMs };
  }

  #isAttentive({ monotonicMs }: Moment): boolean {
    return this.#endSeen !== undefined && monotonicMs - this.#endSeen.monotonicMs <= attentiveMs;
  }

  /** How long the part of the log around `id` was left out by polls that read its end (a window that was not due). */
  #unreadMs(id: Cursor): number {
    const page = this.#pages.find(({ from, to }) => id > from && id <= to);
    if (page === undefined || this.#endSeen === undefined) return 0;
    return Math.max(0, this.#endSeen.monotonicMs - page.askedMs);
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

function delays(
  events: readonly AuditEvent[],
  asked: Moment,
  answered: Moment,
  unreadMs: (id: Cursor) => number,
): number[] {
  if (asked.serverMs === undefined || answered.serverMs === undefined) return [];
  const seenMs = (asked.serverMs + answered.serverMs) / 2;
  return events.flatMap(({ id, createdAtMs }) =>
    createdAtMs === undefined ? [] : [Math.max(0, seenMs - createdAtMs - unreadMs(id))],
  );
}
