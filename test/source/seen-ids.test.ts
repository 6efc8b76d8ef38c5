import { describe, expect, it } from 'vitest';
import { SeenIds } from '../../src/source/seen-ids.ts';
import { auditEvent } from '../support/audit-events.ts';

const noon = Date.UTC(2026, 0, 1, 12);
const at = (seconds: number) => ({ monotonicMs: seconds * 1000, serverMs: noon + seconds * 1000 });
const take = (seenIds: SeenIds, after: number, ids: number[], seconds = 0, createdAt = noon) =>
  seenIds.take(
    BigInt(after),
    ids.map((id) => auditEvent(JSON.stringify({ id, createdAt: new Date(createdAt).toISOString() }), BigInt(id))),
    at(seconds),
    at(seconds),
  );

describe('what of a page is new', () => {
  it('counts an event once, however often the window behind the cursor is read again', () => {
    const seenIds = new SeenIds();
    expect(take(seenIds, 0, [1, 2, 5]).newEvents).toHaveLength(3);
    expect(take(seenIds, 0, [1, 2, 5, 6]).newEvents).toHaveLength(1);
    expect(take(seenIds, 2, [5, 6]).newEvents).toHaveLength(0);
  });

  it('counts no time in which only the end of the log was read', () => {
    const seenIds = new SeenIds();
    take(seenIds, 0, [1, 2, 5]);
    for (const seconds of [15, 30, 45]) take(seenIds, 5, [], seconds);
    expect(take(seenIds, 0, [1, 2, 4, 5], 60, noon + 2_000).delaysMs).toEqual([13_000]);
  });

  it('counts what a route far behind reads', () => {
    const seenIds = new SeenIds();
    take(seenIds, 1000, [1001, 1002]);
    expect(take(seenIds, 0, [7, 9]).newEvents).toHaveLength(2);
    expect(take(seenIds, 9, [1000, 1001]).newEvents).toHaveLength(1);
    expect(take(seenIds, 0, [7, 9, 1000, 1001, 1002, 1003]).newEvents).toHaveLength(1);
  });

  it('reports an event that appears below ids already read, and its delay', () => {
    const seenIds = new SeenIds();
    take(seenIds, 0, [1, 2, 5]);
    take(seenIds, 0, [1, 2, 5], 15);
    const { newEvents, delaysMs } = take(seenIds, 0, [1, 2, 4, 5], 20, noon + 2_000);
    expect(newEvents.map(({ id }) => id)).toEqual([4n]);
    expect(delaysMs).toEqual([18_000]);
    expect(take(seenIds, 0, [1, 2, 4, 5], 25).newEvents).toEqual([]);
  });

  it('stores a bounded number of ids, and does not report forgotten ones as new', () => {
    const seenIds = new SeenIds();
    const odd = (from: number) => Array.from({ length: 1000 }, (_, index) => from + 2 * index + 1);
    for (let after = 0; after < 200_000; after += 2000) take(seenIds, after, odd(after));
    expect(take(seenIds, 0, odd(0)).newEvents).toEqual([]);
    expect(
      take(
        seenIds,
        198_000,
        [...odd(198_000), 199_000].sort((a, b) => a - b),
      ).newEvents,
    ).toHaveLength(1);
  });

  it('measures the delay of an event if the end of the log was seen just before', () => {
    const seenIds = new SeenIds();
    expect(take(seenIds, 0, [1], 0, noon - 86_400_000).delaysMs).toEqual([]);
    take(seenIds, 0, [1], 15);
    expect(take(seenIds, 0, [1, 2, 3], 30, noon + 28_000).delaysMs).toEqual([2_000, 2_000]);
  });

  it('does not take a backlog for a slow server', () => {
    const seenIds = new SeenIds();
    take(seenIds, 0, [1], 0);
    take(seenIds, 0, [1], 1);
    expect(take(seenIds, 0, [1, 2], 3_600, noon + 60_000).delaysMs).toEqual([]);
    expect(take(seenIds, 2, [3], 3_601, noon + 60_000).delaysMs).toEqual([]);
  });
});
