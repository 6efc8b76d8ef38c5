// Above 250 lines: one model, whose rules depend on each other, and the explanation of it.
import type { Cursor } from '../event/event.ts';
import { type IdRange, IdRanges, idsOf } from '../event/id-ranges.ts';
import type { Moment } from '../lib/moment.ts';

/** The parts of a page that decide how far `after` may advance. */
export interface PageObservation {
  /** The cursor it was requested with. */
  readonly after: Cursor;
  readonly asked: Moment;
  readonly answered: Moment;
  /** Ids of its events, ascending, all above `after`. */
  readonly ids: readonly Cursor[];
  /** `createdAt` of each event, milliseconds since the epoch; NaN if it is unreadable. */
  readonly times: Float64Array;
}

/** The ids of a page that need attention, ascending. */
export interface SiftedIds {
  /** Not done and not in flight: to be delivered. */
  readonly newIds: readonly Cursor[];
  /** Those of `newIds` that appeared behind newer ones. */
  readonly late: readonly Cursor[];
  /** Appeared at or below `after`, so they are not delivered. Each is reported once. */
  readonly missed: readonly Cursor[];
  /** No event can appear any more up to the page's last one. */
  readonly isSettled: boolean;
}

interface Sighting {
  readonly upTo: Cursor;
  readonly seen: Moment;
}

/** So many ids at or below `after` are remembered, to recognize one that appears among them. */
const rememberedIds = 200;

/**
 * What one sink has, and where late events may still appear. Pure: no clock, no I/O. Ids are split by two positions:
 *
 *     … after ……………… frontier ……………… head
 *       all done     some in flight     late events may still appear ("the window")
 *
 * States of an id above `after`: *done* (delivered, filtered or dead-lettered on disk), *in flight* (the delivery queue has
 * it), *lost* (an earlier process sent it and it was not confirmed: it must be read again), or unknown.
 *
 * `frontier` advances to an id when a page, requested at least `settle` after that id's time, covers everything from the old
 * frontier up to it: what that page does not show cannot appear any more. An id's time is its `createdAt`, but not later than
 * the first page that showed it; the moment of that page if `createdAt` is unreadable. Without a server clock, the wait is
 * measured from the first sight by the monotonic clock. Premise: an event becomes visible at most `settle` after the
 * `createdAt` of the next higher visible id.
 *
 * `after` follows the frontier up to the first id that is in flight or lost. What is done above that id goes to `delivered`,
 * so a restart reads the gap again and repeats nothing. The caller must hand new ids to the delivery queue before it
 * calls `conclude` with their page: an id that is neither done, in flight nor lost counts as nonexistent.
 */
export class HighWaterMark {
  readonly #settleMs: number;
  readonly #done: IdRanges;
  readonly #lost = new IdRanges();
  /** Lost ids among the new ones of the last page. */
  #foundAgain: readonly Cursor[] = [];
  #after: Cursor;
  #frontier: Cursor;
  #head: Cursor;
  /** The newest ids at or below `after`, ascending. */
  #passed: Cursor[] = [];
  #sightings: Sighting[] = [];
  readonly #lateSightings = new Map<Cursor, Moment>();
  #settledAt: Moment | undefined;

  constructor(settleMs: number, after: Cursor, delivered: Iterable<IdRange> = []) {
    this.#settleMs = settleMs;
    this.#after = after;
    this.#frontier = after;
    this.#done = IdRanges.of(delivered);
    this.#head = this.#done.last ?? after;
  }

  /** Everything at or below is done for good. */
  get after(): Cursor {
    return this.#after;
  }
  /** No event can appear any more at or below. */
  get frontier(): Cursor {
    return this.#frontier;
  }
  /** The greatest id ever seen. */
  get head(): Cursor {
    return this.#head;
  }
  /** Ids above `after` that are done. */
  get delivered(): readonly IdRange[] {
    return this.#done.toArray();
  }
  /** The first id that must be read again. */
  get firstLost(): Cursor | undefined {
    return this.#lost.first;
  }
  /** The smallest id that would be recognized as missed. */
  get firstRemembered(): Cursor | undefined {
    return this.#passed[0];
  }
  get remembered(): number {
    return this.#passed.length;
  }
  /** When the first id above the frontier will have settled; undefined if that is not known. */
  get settledAt(): Moment | undefined {
    return this.#settledAt;
  }

  /** How many ids above the frontier are done. */
  get doneInWindow(): number {
    return this.#done.idsAbove(this.#frontier);
  }

  /** In how many ranges the done ids above `id` are. */
  doneRangesAbove(id: Cursor): number {
    return this.#done.rangesAbove(id);
  }

  /** Finds what a page brings, and records the first sight of its ids. */
  sift(page: PageObservation, isInFlight: (id: Cursor) => boolean): SiftedIds {
    const { ids, answered } = page;
    const [first] = ids;
    const last = ids.at(-1);
    if (first === undefined || last === undefined) return { newIds: [], late: [], missed: [], isSettled: true };
    const isAllNew = first > this.#head;
    const newIds = isAllNew
      ? ids
      : ids.filter((id) => id > this.#after && !this.#done.has(id) && (id > this.#head || !isInFlight(id)));
    this.#foundAgain = this.#lost.size === 0 ? [] : newIds.filter((id) => this.#lost.has(id));
    const late = isAllNew ? [] : newIds.filter((id) => id <= this.#head && !this.#lost.has(id));
    for (const id of late) this.#lateSightings.set(id, answered);
    if (last > this.#head) this.#head = last;
    if (last > (this.#sightings.at(-1)?.upTo ?? this.#frontier)) this.#sightings.push({ upTo: last, seen: answered });
    const isSettled = this.#firstUnsettled(page) === ids.length;
    return { newIds, late, missed: first > this.#after ? [] : this.#missedIn(ids), isSettled };
  }

  /** Uses what a page proves. Its new ids must be done or in flight by now; `firstInFlight` is the least of those. */
  conclude(page: PageObservation, firstInFlight: Cursor | undefined): void {
    const { after, ids } = page;
    if (after <= this.#frontier) {
      const unsettled = this.#firstUnsettled(page);
      const settledTo = ids[unsettled - 1];
      if (settledTo !== undefined && settledTo > this.#frontier) this.#frontier = settledTo;
      this.#settledAt = unsettled === ids.length ? undefined : this.#settlesAt(page, unsettled);
    }
    if (this.#lost.size > 0) this.#findLost(page);
    this.#advance(firstInFlight);
  }

  /**
   * Lost ids that `sift` found new are in flight again. One that was lost since then is not, although the page shows it. One
   * that the page does not show although it has settled is gone from the log.
   */
  #findLost({ after, ids }: PageObservation): void {
    const last = ids.at(-1) ?? after;
    const shown = new Set(ids);
    const isGone = (id: Cursor) => id > after && id < last && id <= this.#frontier && !shown.has(id);
    this.#lost.deleteAll([...this.#foundAgain, ...idsOf(this.#lost.toArray()).filter(isGone)]);
    this.#foundAgain = [];
  }

  /** These ids are delivered, filtered or dead-lettered on disk. `firstInFlight`: the least id that is still in flight. */
  settle(ids: readonly Cursor[], firstInFlight: Cursor | undefined): void {
    this.#lost.deleteAll(ids);
    this.#done.addAll(ids.every((id) => id > this.#after) ? ids : ids.filter((id) => id > this.#after));
    this.#advance(firstInFlight);
  }

  /** An earlier process sent these ids and their confirmation is awaited: they are not new when a page shows them. */
  resume(last: Cursor): void {
    if (last > this.#head) this.#head = last;
  }

  /** These ids are not delivered and must be read again. */
  lose(ids: readonly Cursor[]): void {
    this.#lost.addAll(ids.filter((id) => id > this.#after && !this.#done.has(id)));
  }

  #advance(firstInFlight: Cursor | undefined): void {
    const open = least(firstInFlight, this.#lost.first);
    const isHeldBack = open !== undefined && open <= this.#frontier;
    const target = isHeldBack ? (this.#done.lastBelow(open) ?? this.#after) : this.#frontier;
    if (target > this.#after) {
      this.#after = target;
      this.#remember(this.#done.takeUpTo(target));
    }
    const keep = this.#sightings.findIndex(({ upTo }) => upTo > this.#frontier);
    this.#sightings.splice(0, keep === -1 ? this.#sightings.length : keep);
    for (const id of this.#lateSightings.keys()) if (id <= this.#frontier) this.#lateSightings.delete(id);
  }

  #remember(ranges: readonly IdRange[]): void {
    const newest: Cursor[] = [];
    for (let at = ranges.length - 1; at >= 0 && newest.length < rememberedIds; at--) {
      const [from, to] = ranges[at] as IdRange;
      for (let id = to; id >= from && newest.length < rememberedIds; id--) newest.push(id);
    }
    this.#passed = [...this.#passed, ...newest.reverse()].slice(-rememberedIds);
  }

  #missedIn(ids: readonly Cursor[]): readonly Cursor[] {
    const from = this.#passed[0];
    if (from === undefined) return [];
    const missed = ids.filter((id) => id > from && id <= this.#after && !this.#passed.includes(id));
    if (missed.length > 0) this.#passed = [...this.#passed, ...missed].sort((a, b) => (a < b ? -1 : 1));
    return missed;
  }

  /** Index of the page's first event that has not settled; its length if there is none. */
  #firstUnsettled(page: PageObservation): number {
    const { ids } = page;
    if (this.#settleMs === 0) return ids.length;
    const at = ids.findIndex((id, index) => id > this.#frontier && !this.#isSettled(page, index));
    return at === -1 ? ids.length : at;
  }

  /** Whether the page was requested at least `settle` after its event's time: by the server's clock if both are known. */
  #isSettled(page: PageObservation, index: number): boolean {
    const seen = this.#firstSight(page, index);
    const serverMs = serverTimeOf(page, index, seen);
    if (serverMs === undefined || page.asked.serverMs === undefined)
      return page.asked.monotonicMs - seen.monotonicMs >= this.#settleMs;
    return page.asked.serverMs - serverMs >= this.#settleMs;
  }

  /** When the event of a page settles. */
  #settlesAt(page: PageObservation, index: number): Moment {
    const seen = this.#firstSight(page, index);
    const serverMs = serverTimeOf(page, index, seen);
    return {
      monotonicMs: seen.monotonicMs + this.#settleMs,
      serverMs: serverMs === undefined ? undefined : serverMs + this.#settleMs,
    };
  }

  #firstSight({ ids, answered }: PageObservation, index: number): Moment {
    const id = ids[index] as Cursor;
    return this.#lateSightings.get(id) ?? this.#sightingOf(id) ?? answered;
  }

  #sightingOf(id: Cursor): Moment | undefined {
    let low = 0;
    let high = this.#sightings.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const sighting = this.#sightings[middle];
      if (sighting !== undefined && sighting.upTo < id) low = middle + 1;
      else high = middle;
    }
    return this.#sightings[low]?.seen;
  }
}

/** Whether `moment` has come at `now`: by the server's clock if both are known. */
export function hasCome(moment: Moment, now: Moment): boolean {
  if (moment.serverMs !== undefined && now.serverMs !== undefined) return now.serverMs >= moment.serverMs;
  return now.monotonicMs >= moment.monotonicMs;
}

export const least = (a: Cursor | undefined, b: Cursor | undefined): Cursor | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a;

/** The time of a page's event by the server's clock: its `createdAt`, but not later than its first sight. */
function serverTimeOf({ times }: PageObservation, index: number, { serverMs }: Moment): number | undefined {
  const createdAtMs = times[index] ?? Number.NaN;
  return serverMs === undefined || Number.isNaN(createdAtMs) ? serverMs : Math.min(createdAtMs, serverMs);
}
