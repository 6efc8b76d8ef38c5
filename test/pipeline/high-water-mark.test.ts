import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Moment } from '../../src/lib/moment.ts';
import { HighWaterMark, type PageObservation, type SiftedIds } from '../../src/pipeline/high-water-mark.ts';

const settleMs = 60_000;
/** How far createdAt may lag behind the order of ids, in addition to an event's lateness: both together stay within `settle`. */
const backdatedMs = 20_000;

interface Committed {
  readonly id: bigint;
  readonly createdAtMs: number | undefined;
  /** When it can be seen. */
  readonly visibleMs: number;
}

/** A server whose events become visible in any order; its clock is the test's. */
class Server {
  readonly #events: readonly Committed[];
  readonly #dated: boolean;
  constructor(events: readonly Committed[], dated: boolean) {
    this.#events = [...events].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#dated = dated;
  }
  page(after: bigint, count: number, nowMs: number): PageObservation {
    const events = this.#events.filter(({ id, visibleMs }) => id > after && visibleMs <= nowMs).slice(0, count);
    const moment: Moment = { monotonicMs: nowMs + 5_000_000, serverMs: this.#dated ? nowMs : undefined };
    return evidence(after, events, moment);
  }
}

function evidence(
  after: bigint,
  events: readonly { id: bigint; createdAtMs: number | undefined }[],
  moment: Moment,
): PageObservation {
  const times = Float64Array.from(events, ({ createdAtMs }) => createdAtMs ?? Number.NaN);
  return { after, ids: events.map(({ id }) => id), times, asked: moment, answered: moment };
}

/** A mark with the part of the delivery queue that it depends on: which ids are in flight. */
class Marked {
  readonly mark: HighWaterMark;
  readonly inFlight = new Set<bigint>();
  isCaughtUp = false;
  constructor(settle: number, after: bigint, delivered: HighWaterMark['delivered'] = []) {
    this.mark = new HighWaterMark(settle, after, delivered);
  }
  get first(): bigint | undefined {
    return [...this.inFlight].sort((a, b) => (a < b ? -1 : 1))[0];
  }
  get windowSize(): number {
    return this.mark.doneInWindow + this.inFlight.size;
  }
  offer(page: PageObservation): SiftedIds {
    const sifted = this.mark.sift(page, (id) => this.inFlight.has(id));
    for (const id of sifted.newIds) this.inFlight.add(id);
    this.mark.conclude(page, this.first);
    return sifted;
  }
  settle(ids: readonly bigint[]): void {
    for (const id of ids) this.inFlight.delete(id);
    this.mark.settle(ids, this.first);
  }
}

/** One poll as the reader makes it: at first everything, then a small window with the new events, a large one apart. */
function drain(
  marked: Marked,
  server: Server,
  count: number,
  nowMs: number,
  take: (ids: readonly bigint[]) => void,
): void {
  const { mark } = marked;
  const read = (from: bigint, isSweep: boolean) => {
    let after = from;
    for (let pages = 0; pages < 100; pages++) {
      const page = server.page(after, count, nowMs);
      const { newIds, isSettled } = marked.offer(page);
      take(newIds);
      const last = page.ids.at(-1);
      if (last === undefined) return;
      if (isSweep ? !isSettled : newIds.length === 0 && last >= mark.head) return;
      after = last;
    }
  };
  const isWhole = !marked.isCaughtUp || mark.firstLost !== undefined || marked.windowSize < count;
  marked.isCaughtUp = true;
  const { firstLost, frontier } = mark;
  read(isWhole ? (firstLost !== undefined && firstLost <= frontier ? firstLost - 1n : frontier) : mark.head, false);
  if (!isWhole) read(mark.frontier, true);
}

const history = fc.record({
  dated: fc.boolean(),
  count: fc.integer({ min: 2, max: 12 }),
  gap: fc.integer({ min: 1, max: 3 }),
  events: fc.array(
    fc.record({
      /** After the event before it. */
      afterMs: fc.integer({ min: 0, max: 8_000 }),
      /** From creation to sight: within `settle`. */
      delayMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: settleMs - backdatedMs - 1 })),
      date: fc.constantFrom('good', 'good', 'good', 'unreadable', 'future', 'backdated'),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  /** Waits between polls; long ones are pauses. */
  polls: fc.array(fc.oneof(fc.integer({ min: 500, max: 15_000 }), fc.constant(400_000)), {
    minLength: 5,
    maxLength: 30,
  }),
  /** Which polls' batches are confirmed only several polls later, and after which the process restarts cleanly. */
  slow: fc.array(fc.integer({ min: 0, max: 29 }), { maxLength: 10 }),
  restarts: fc.array(fc.integer({ min: 0, max: 29 }), { maxLength: 4 }),
});

describe('a high-water mark with late events', () => {
  it('offers each event once whatever becomes visible when, and again only what a crash lost', () => {
    fc.assert(
      fc.property(history, ({ dated, count, gap, events, polls, slow, restarts }) => {
        let createdMs = 1_000_000;
        const committed = events.map(({ afterMs, delayMs, date }, index): Committed => {
          createdMs += afterMs;
          // Only a true date lets an event be as late as `settle` after it; the others are seen at once.
          const visibleMs = createdMs + (date === 'good' && dated ? delayMs : 0);
          const dates = {
            good: createdMs,
            unreadable: undefined,
            future: createdMs + 10_000_000,
            backdated: createdMs,
          };
          return { id: BigInt(index * gap + 1), createdAtMs: dates[date], visibleMs };
        });
        const server = new Server(committed, dated);
        let marked = new Marked(settleMs, 0n);
        const taken: bigint[] = [];
        let open: { ids: readonly bigint[]; dueAt: number }[] = [];
        const settle = (poll: number) => {
          for (const { ids, dueAt } of open) if (dueAt <= poll) marked.settle(ids);
          open = open.filter(({ dueAt }) => dueAt > poll);
        };
        let nowMs = 1_000_000;
        const poll = (index: number, waitMs: number) => {
          nowMs += waitMs;
          settle(index);
          const delay = slow.includes(index) ? 3 : 0;
          drain(marked, server, count, nowMs, (ids) => {
            taken.push(...ids);
            if (delay === 0) marked.settle(ids);
            else open.push({ ids, dueAt: index + delay });
          });
          if (!restarts.includes(index)) return;
          // What is in flight is lost: the next process reads it again.
          const lost = [...marked.inFlight];
          for (const id of lost) taken.splice(taken.indexOf(id), 1);
          open = [];
          marked = new Marked(settleMs, marked.mark.after, marked.mark.delivered);
        };
        for (const [index, waitMs] of polls.entries()) poll(index, waitMs);
        const end = Math.max(nowMs, createdMs) + settleMs;
        nowMs = end;
        for (let extra = 0; extra < 8; extra++) poll(polls.length + extra + 40, settleMs);
        expect([...taken].sort((a, b) => Number(a - b))).toEqual(committed.map(({ id }) => id));
        // All has settled: nothing is remembered but the cursor.
        expect(marked.mark.after).toBe(committed.at(-1)?.id);
        expect(marked.windowSize).toBe(0);
        expect(marked.mark.delivered).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });

  const moment = (ms: number): Moment => ({ monotonicMs: ms, serverMs: ms });
  const page = (
    after: bigint,
    askedMs: number,
    ...events: [id: bigint, createdAtMs: number | undefined][]
  ): PageObservation =>
    evidence(
      after,
      events.map(([id, createdAtMs]) => ({ id, createdAtMs })),
      moment(askedMs),
    );

  it('passes an id at once if the page was requested long after its time', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 100_000, [1n, 10_000], [2n, 39_999], [3n, 40_001]));
    marked.settle([1n, 2n, 3n]);
    expect(marked.mark.after).toBe(2n);
    expect(marked.mark.delivered).toEqual([[3n, 3n]]);
  });

  it('does not pass what is in flight, nor anything above it', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 100_000, [1n, 0], [2n, 0], [3n, 0]));
    marked.settle([1n, 3n]);
    expect(marked.mark.after).toBe(1n);
    expect(marked.mark.delivered).toEqual([[3n, 3n]]);
    marked.settle([2n]);
    expect(marked.mark.after).toBe(3n);
  });

  it('does not advance on a page that was requested too early', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 50_000, [1n, 40_000]));
    marked.settle([1n]);
    expect(marked.mark.after).toBe(0n);
    marked.offer(page(0n, 99_999, [1n, 40_000]));
    expect(marked.mark.after).toBe(0n);
    marked.offer(page(0n, 100_000, [1n, 40_000]));
    expect(marked.mark.after).toBe(1n);
  });

  it('offers an event once though it is read again while in flight', () => {
    const marked = new Marked(settleMs, 0n);
    expect(marked.offer(page(0n, 50_000, [1n, 40_000])).newIds.length).toBe(1);
    expect(marked.offer(page(0n, 51_000, [1n, 40_000])).newIds.length).toBe(0);
  });

  it('tells late events from new ones', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 50_000, [1n, 40_000], [4n, 40_000]));
    expect(marked.offer(page(0n, 51_000, [1n, 40_000], [2n, 40_000], [4n, 40_000], [5n, 50_000])).late).toEqual([2n]);
  });

  it('waits for an event dated in the future from its first sight', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 50_000, [1n, 9_000_000]));
    marked.settle([1n]);
    marked.offer(page(0n, 109_000, [1n, 9_000_000]));
    expect(marked.mark.after).toBe(0n);
    marked.offer(page(0n, 110_000, [1n, 9_000_000]));
    expect(marked.mark.after).toBe(1n);
  });

  it('counts the wait of a late event without a readable time from its own first sight', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 50_000, [1n, 40_000], [4n, 40_000]));
    marked.offer(page(0n, 100_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    marked.settle([1n, 2n, 4n]);
    marked.offer(page(0n, 159_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    expect(marked.mark.after).toBe(1n);
    marked.offer(page(0n, 160_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    expect(marked.mark.after).toBe(4n);
  });

  it('lists only what is done above a hole if settle is off', () => {
    const marked = new Marked(0, 0n);
    marked.offer(page(0n, 50_000, [1n, 50_000], [2n, undefined], [3n, 9_000_000]));
    marked.settle([1n, 3n]);
    expect([marked.mark.after, marked.mark.delivered]).toEqual([1n, [[3n, 3n]]]);
    marked.settle([2n]);
    expect([marked.mark.after, marked.mark.delivered]).toEqual([3n, []]);
  });

  it('advances over a page that was read again while later ones are in flight', () => {
    const marked = new Marked(0, 0n);
    for (const from of [0n, 2n, 4n]) marked.offer(page(from, 50_000, [from + 1n, 0], [from + 2n, 0]));
    marked.offer(page(0n, 51_000, [1n, 0], [2n, 0]));
    marked.settle([3n, 4n, 5n, 6n]);
    marked.settle([1n, 2n]);
    expect([marked.mark.after, marked.mark.delivered]).toEqual([6n, []]);
  });

  it('advances over everything that was confirmed late, however many pages it fills', () => {
    const marked = new Marked(0, 0n);
    const ids = Array.from({ length: 2_000 }, (_, index) => BigInt(index + 1));
    for (const id of ids) marked.offer(page(id - 1n, 50_000, [id, 0]));
    expect(marked.mark.frontier).toBe(2_000n);
    marked.settle(ids);
    expect(marked.mark.after).toBe(2_000n);
  });

  it('is held back by what an earlier process lost until it is read again', () => {
    const marked = new Marked(0, 0n);
    for (const id of [1n, 2n]) marked.inFlight.add(id);
    marked.mark.resume(2n);
    expect(marked.offer(page(0n, 50_000, [1n, 0], [2n, 0], [3n, 0])).newIds).toEqual([3n]);
    marked.settle([3n]);
    marked.inFlight.clear();
    marked.mark.lose([1n, 2n]);
    marked.settle([]);
    expect([marked.mark.after, marked.mark.firstLost]).toEqual([0n, 1n]);
    expect(marked.offer(page(0n, 51_000, [1n, 0], [2n, 0], [3n, 0]))).toMatchObject({ newIds: [1n, 2n], late: [] });
    marked.settle([1n, 2n]);
    expect([marked.mark.after, marked.mark.firstLost]).toEqual([3n, undefined]);
  });

  it('is held back by what is lost between the look at a page and its conclusion', () => {
    const marked = new Marked(0, 0n);
    marked.inFlight.add(1n);
    marked.mark.resume(1n);
    const shown = page(0n, 50_000, [1n, 0], [2n, 0]);
    expect(marked.mark.sift(shown, (id) => marked.inFlight.has(id)).newIds).toEqual([2n]);
    marked.inFlight.clear();
    marked.mark.lose([1n]);
    marked.inFlight.add(2n);
    marked.mark.conclude(shown, marked.first);
    marked.settle([2n]);
    expect([marked.mark.after, marked.mark.firstLost], 'nothing has delivered 1').toEqual([0n, 1n]);
    expect(marked.offer(page(0n, 51_000, [1n, 0], [2n, 0])).newIds).toEqual([1n]);
    marked.settle([1n]);
    expect([marked.mark.after, marked.mark.firstLost]).toEqual([2n, undefined]);
  });

  it('reports once an event that appears at or below the cursor', () => {
    const marked = new Marked(settleMs, 0n);
    marked.offer(page(0n, 200_000, [1n, 0], [3n, 0], [5n, 0]));
    marked.settle([1n, 3n, 5n]);
    const shown = () => marked.offer(page(0n, 210_000, [1n, 0], [3n, 0], [4n, 150_000], [5n, 0]));
    expect(shown()).toMatchObject({ newIds: [], missed: [4n] });
    expect(shown()).toMatchObject({ newIds: [], missed: [] });
  });
});
