import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Moment } from '../../src/lib/moment.ts';
import { HighWaterMark, type PageObservation } from '../../src/pipeline/high-water-mark.ts';

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

/** One drain the way a route reads: a small window with the news, a large one apart. */
function drain(
  progress: HighWaterMark,
  server: Server,
  count: number,
  nowMs: number,
  take: (ids: readonly bigint[]) => void,
): void {
  const read = (from: bigint, sweep: boolean) => {
    let after = from;
    for (let pages = 0; pages < 100; pages++) {
      const page = server.page(after, count, nowMs);
      const { fresh } = progress.offer(page);
      take(fresh);
      const last = page.ids.at(-1);
      if (last === undefined) return;
      if (sweep ? progress.after < last : fresh.length === 0 && last >= progress.head) return;
      after = last;
    }
  };
  if (progress.windowSize < count) read(progress.after, false);
  else {
    read(progress.head, false);
    read(progress.after, true);
  }
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

describe('progress with late events', () => {
  it('loses nothing and takes nothing twice, whatever becomes visible when', () => {
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
        let progress = new HighWaterMark(settleMs, 0n);
        const taken: bigint[] = [];
        let open: { ids: readonly bigint[]; dueAt: number }[] = [];
        const settle = (poll: number) => {
          for (const { ids, dueAt } of open) if (dueAt <= poll) progress.settle(ids);
          open = open.filter(({ dueAt }) => dueAt > poll);
        };
        let nowMs = 1_000_000;
        const poll = (index: number, waitMs: number) => {
          nowMs += waitMs;
          settle(index);
          const delay = slow.includes(index) ? 3 : 0;
          drain(progress, server, count, nowMs, (ids) => {
            taken.push(...ids);
            if (delay === 0) progress.settle(ids);
            else open.push({ ids, dueAt: index + delay });
          });
          if (!restarts.includes(index)) return;
          settle(Number.POSITIVE_INFINITY);
          progress = new HighWaterMark(settleMs, progress.after, progress.delivered);
        };
        for (const [index, waitMs] of polls.entries()) poll(index, waitMs);
        const end = Math.max(nowMs, createdMs) + settleMs;
        nowMs = end;
        for (let extra = 0; extra < 8; extra++) poll(polls.length + extra + 40, settleMs);
        expect([...taken].sort((a, b) => Number(a - b))).toEqual(committed.map(({ id }) => id));
        // All has settled: nothing is remembered but the cursor.
        expect(progress.after).toBe(committed.at(-1)?.id);
        expect(progress.windowSize).toBe(0);
        expect(progress.delivered).toEqual([]);
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

  it('passes an id at once when the page was asked for long after its time', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 100_000, [1n, 10_000], [2n, 39_999], [3n, 40_001]));
    progress.settle([1n, 2n, 3n]);
    expect(progress.after).toBe(2n);
    expect(progress.delivered).toEqual([[3n, 3n]]);
  });

  it('does not pass what is in flight, nor anything behind it', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 100_000, [1n, 0], [2n, 0], [3n, 0]));
    progress.settle([1n, 3n]);
    expect(progress.after).toBe(1n);
    expect(progress.delivered).toEqual([[3n, 3n]]);
    progress.settle([2n]);
    expect(progress.after).toBe(3n);
  });

  it('does not take the word of a page that was asked for too early, however late it is used', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 50_000, [1n, 40_000]));
    progress.settle([1n]);
    expect(progress.after).toBe(0n);
    progress.offer(page(0n, 99_999, [1n, 40_000]));
    expect(progress.after).toBe(0n);
    progress.offer(page(0n, 100_000, [1n, 40_000]));
    expect(progress.after).toBe(1n);
  });

  it('offers an event once though it is read again while in flight', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    expect(progress.offer(page(0n, 50_000, [1n, 40_000])).fresh.length).toBe(1);
    expect(progress.offer(page(0n, 51_000, [1n, 40_000])).fresh.length).toBe(0);
  });

  it('tells late events apart from new ones', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 50_000, [1n, 40_000], [4n, 40_000]));
    expect(progress.offer(page(0n, 51_000, [1n, 40_000], [2n, 40_000], [4n, 40_000], [5n, 50_000])).late).toEqual([2n]);
  });

  it('lets an event dated in the future wait for settle from its first sight, no longer', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 50_000, [1n, 9_000_000]));
    progress.settle([1n]);
    progress.offer(page(0n, 109_000, [1n, 9_000_000]));
    expect(progress.after).toBe(0n);
    progress.offer(page(0n, 110_000, [1n, 9_000_000]));
    expect(progress.after).toBe(1n);
  });

  it('counts the wait of a late event without a readable time from its own first sight', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    progress.offer(page(0n, 50_000, [1n, 40_000], [4n, 40_000]));
    progress.offer(page(0n, 100_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    progress.settle([1n, 2n, 4n]);
    progress.offer(page(0n, 159_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    expect(progress.after).toBe(1n);
    progress.offer(page(0n, 160_000, [1n, 40_000], [2n, undefined], [4n, 40_000]));
    expect(progress.after).toBe(4n);
  });

  it('is the plain cursor when settle is off', () => {
    const progress = new HighWaterMark(0, 0n);
    progress.offer(page(0n, 50_000, [1n, 50_000], [2n, undefined], [3n, 9_000_000]));
    progress.settle([1n, 3n]);
    expect([progress.after, progress.delivered]).toEqual([1n, []]);
    progress.settle([2n]);
    expect([progress.after, progress.delivered]).toEqual([3n, []]);
  });

  it('keeps few pages in mind when confirmations never come', () => {
    const progress = new HighWaterMark(settleMs, 0n);
    for (let poll = 0; poll < 5_000; poll++) progress.offer(page(0n, 1_000_000 + poll, [1n, 0], [2n, 0]));
    progress.settle([1n, 2n]);
    expect(progress.after).toBe(2n);
    expect(progress.pagesInMind).toBeLessThan(3);
  });
});
