import type { Cursor } from '../event/event.ts';
import { type IdRange, IdRanges } from '../event/id-ranges.ts';
import type { Moment } from '../lib/moment.ts';

/** What of a page the window needs to know. */
export interface PageObservation {
  readonly after: Cursor;
  readonly asked: Moment;
  readonly answered: Moment;
  /** Ids of its events, ascending, all above `after`. */
  readonly ids: readonly Cursor[];
  /** Of each event `createdAt`, milliseconds since the epoch; NaN where it can't be read. */
  readonly times: Float64Array;
}

/** A page whose word is not yet used up. */
interface Evidence extends PageObservation {
  /** Index of the first event not yet passed. */
  next: number;
}

/** Pages that may wait for their events to be done. */
const evidenceLimit = 256;

interface Sighting {
  readonly upTo: Cursor;
  readonly seen: Moment;
}

/**
 * What one sink has, and what may still appear behind its cursor. Pure: no clock, no I/O.
 *
 * `after` is the point below which nothing can change any more: it passes an id only on the word of a page that was
 * asked for at least `settle` after that id's time and whose events up to that id are all done. An id's time is its
 * `createdAt`, but not later than the first page that showed it; that page's moment where `createdAt` can't be read. (That
 * it is not earlier than a lower id's follows: ids are passed in order.) Without a server clock, the wait is measured from first sight by the
 * monotonic clock. Limit: `createdAt` follows the order of ids to within `settle`.
 *
 * Above `after` an id is *done* (delivered, filtered or set aside), *in flight* (offered, verdict unknown), or new.
 */
export class HighWaterMark {
  readonly #settleMs: number;
  readonly #done: IdRanges;
  readonly #inFlight = new IdRanges();
  #after: Cursor;
  #head: Cursor;
  #evidence: Evidence[] = [];
  #sightings: Sighting[] = [];
  readonly #released = new IdRanges();
  readonly #lateSightings = new Map<Cursor, Moment>();
  #blockedUntil: Moment | undefined;

  constructor(settleMs: number, after: Cursor, delivered: Iterable<IdRange> = []) {
    this.#settleMs = settleMs;
    this.#after = after;
    this.#done = IdRanges.of(delivered);
    this.#head = this.#done.last ?? after;
  }

  /** Everything at or below is done for good. */
  get after(): Cursor {
    return this.#after;
  }
  /** The greatest id ever offered. */
  get head(): Cursor {
    return this.#head;
  }
  /** Ids above `after` that are done, for the checkpoint: none where `settle` is off. */
  get delivered(): readonly IdRange[] {
    return this.#settleMs === 0 ? [] : this.#done.toArray();
  }
  /** Ids known above `after`, done or in flight. */
  get windowSize(): number {
    return this.#done.size + this.#inFlight.size;
  }
  get inFlight(): number {
    return this.#inFlight.size;
  }
  /** Pages whose word still waits for an event to be done. */
  get pagesInMind(): number {
    return this.#evidence.length;
  }
  /** The time by which the oldest id that held `after` back will have settled; undefined where nothing is known. */
  get settledAt(): Moment | undefined {
    return this.#blockedUntil;
  }

  isNew(id: Cursor): boolean {
    return id > this.#after && !this.#done.has(id) && !this.#inFlight.has(id);
  }

  /**
   * Takes a page in: its new ids are in flight from now on and come back, `late` counting those below the head. The
   * page also bears witness to what it did not show. `settled`: nothing can appear any more up to its last event.
   */
  offer(page: PageObservation): { fresh: readonly Cursor[]; late: readonly Cursor[]; settled: boolean } {
    const { fresh, late } = this.#sift(page);
    this.#inFlight.addAll(fresh);
    for (const id of late) this.#lateSightings.set(id, page.answered);
    const last = page.ids.at(-1);
    if (last !== undefined) {
      if (last > this.#head) this.#head = last;
      const seen = this.#sightings.at(-1)?.upTo;
      if (seen === undefined || last > seen) this.#sightings.push({ upTo: last, seen: page.answered });
      this.#bearWitness(page, last);
    }
    const settled = last === undefined || this.#isSettled(page, page.ids.length - 1);
    this.#advance();
    return { fresh, late, settled };
  }

  /** What of a page is new, ascending, and what of that is late. */
  #sift({ ids }: PageObservation): { fresh: readonly Cursor[]; late: readonly Cursor[] } {
    const [first] = ids;
    // The usual case: nothing at or below the head is in it.
    if (first === undefined || first > this.#head) return { fresh: ids, late: [] };
    const fresh = ids.filter((id) => this.isNew(id));
    return { fresh, late: fresh.filter((id) => id <= this.#head && !this.#released.has(id)) };
  }

  /** Marks ids as in flight that an earlier process sent and whose fate is not known yet. */
  resume(ids: readonly Cursor[]): void {
    for (const id of ids) {
      if (!this.isNew(id)) continue;
      this.#inFlight.add(id);
      if (id > this.#head) this.#head = id;
    }
  }

  /** These are delivered, filtered or set aside on disk. */
  settle(ids: readonly Cursor[]): void {
    this.#inFlight.deleteAll(ids);
    this.#done.addAll(ids.every((id) => id > this.#after) ? ids : ids.filter((id) => id > this.#after));
    this.#advance();
  }

  /** These are not: they are new again, and must be read again from `after` on. */
  release(ids: readonly Cursor[]): void {
    for (const id of ids) {
      this.#inFlight.delete(id);
      this.#released.add(id);
    }
  }

  /** A later page over the same range makes an earlier one's word worthless. */
  #bearWitness(page: PageObservation, last: Cursor): void {
    this.#evidence = this.#evidence.filter((earlier) => {
      const earlierLast = earlier.ids.at(-1) ?? earlier.after;
      return last < earlierLast || (page.after > earlier.after && page.after > this.#after);
    });
    // What is dropped here is only read again.
    if (this.#evidence.length < evidenceLimit) this.#evidence.push({ ...page, next: 0 });
  }

  #advance(): void {
    const before = this.#after;
    for (;;) {
      const evidence = this.#evidence[0];
      if (evidence === undefined) break;
      // A page that starts above `after` says nothing of what lies between.
      if (evidence.after <= this.#after && this.#use(evidence) === 'waits') break;
      this.#evidence.shift();
    }
    if (this.#after > before) this.#forget();
  }

  /** Passes as many of the page's events as its word covers; 'waits' where one of them is not done yet. */
  #use(evidence: Evidence): 'waits' | 'used' {
    let doneTo = this.#after;
    for (; evidence.next < evidence.ids.length; evidence.next++) {
      const id = evidence.ids[evidence.next] as Cursor;
      if (id <= this.#after) continue;
      if (!this.#isSettled(evidence, evidence.next)) {
        this.#blockedUntil = plus(this.#timeOf(evidence, evidence.next), this.#settleMs);
        return 'used';
      }
      if (id > doneTo) {
        const end = this.#done.endBehind(id);
        if (end === undefined) return 'waits';
        doneTo = end;
      }
      this.#after = id;
    }
    this.#blockedUntil = undefined;
    return 'used';
  }

  /** The time of a page's event. */
  #timeOf(page: PageObservation, index: number): Moment {
    const seen = this.#seen(page, index);
    const createdAtMs = page.times[index] ?? Number.NaN;
    if (seen.serverMs === undefined || Number.isNaN(createdAtMs)) return seen;
    return { monotonicMs: seen.monotonicMs, serverMs: Math.min(createdAtMs, seen.serverMs) };
  }

  /** Whether the page was asked for at least `settle` after its event's time: by the server's clock where both know it. */
  #isSettled(page: PageObservation, index: number): boolean {
    if (this.#settleMs === 0) return true;
    const { monotonicMs, serverMs } = this.#seen(page, index);
    if (serverMs === undefined || page.asked.serverMs === undefined)
      return page.asked.monotonicMs - monotonicMs >= this.#settleMs;
    const createdAtMs = page.times[index] ?? Number.NaN;
    const timeMs = Number.isNaN(createdAtMs) ? serverMs : Math.min(createdAtMs, serverMs);
    return page.asked.serverMs - timeMs >= this.#settleMs;
  }

  /** When a page's event was first seen. */
  #seen({ ids, answered }: PageObservation, index: number): Moment {
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

  #forget(): void {
    this.#done.dropUpTo(this.#after);
    this.#released.dropUpTo(this.#after);
    const keep = this.#sightings.findIndex(({ upTo }) => upTo > this.#after);
    this.#sightings.splice(0, keep === -1 ? this.#sightings.length : keep);
    for (const id of this.#lateSightings.keys()) if (id <= this.#after) this.#lateSightings.delete(id);
  }
}

/** Whether `moment` has come at `now`: by the server's clock where both know it. */
export function hasCome(moment: Moment, now: Moment): boolean {
  if (moment.serverMs !== undefined && now.serverMs !== undefined) return now.serverMs >= moment.serverMs;
  return now.monotonicMs >= moment.monotonicMs;
}

function plus(moment: Moment, ms: number): Moment {
  return {
    monotonicMs: moment.monotonicMs + ms,
    serverMs: moment.serverMs === undefined ? undefined : moment.serverMs + ms,
  };
}
