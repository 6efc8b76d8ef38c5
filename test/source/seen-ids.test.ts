import { describe, expect, it } from 'vitest';
import { SeenIds } from '../../src/source/seen-ids.ts';
import { auditEvent } from '../support/audit-events.ts';

const noon = Date.UTC(2026, 0, 1, 12);
const at = (seconds: number) => ({ monotonicMs: seconds * 1000, serverMs: noon + seconds * 1000 });
const take = (novelty: SeenIds, after: number, ids: number[], seconds = 0, createdAt = noon) =>
  novelty.take(
    BigInt(after),
    ids.map((id) => auditEvent(JSON.stringify({ id, createdAt: new Date(createdAt).toISOString() }), BigInt(id))),
    at(seconds),
    at(seconds),
  );

describe('what of a page is new', () => {
  it('counts an event once, however often the window behind the cursor is read again', () => {
    const novelty = new SeenIds();
    expect(take(novelty, 0, [1, 2, 5]).newEvents).toHaveLength(3);
    expect(take(novelty, 0, [1, 2, 5, 6]).newEvents).toHaveLength(1);
    expect(take(novelty, 2, [5, 6]).newEvents).toHaveLength(0);
  });

  it('counts what a route far behind reads', () => {
    const novelty = new SeenIds();
    take(novelty, 1000, [1001, 1002]);
    expect(take(novelty, 0, [7, 9]).newEvents).toHaveLength(2);
    expect(take(novelty, 9, [1000, 1001]).newEvents).toHaveLength(1);
    expect(take(novelty, 0, [7, 9, 1000, 1001, 1002, 1003]).newEvents).toHaveLength(1);
  });

  it('counts an event that appears behind others already read, and how long it took', () => {
    const novelty = new SeenIds();
    take(novelty, 0, [1, 2, 5]);
    take(novelty, 5, [], 15);
    const { newEvents, delaysMs } = take(novelty, 0, [1, 2, 4, 5], 20, noon + 2_000);
    expect(newEvents.map(({ id }) => id)).toEqual([4n]);
    expect(delaysMs).toEqual([18_000]);
    expect(take(novelty, 0, [1, 2, 4, 5], 25).newEvents).toEqual([]);
  });

  it('keeps no more ids than it must, and takes none for new that it no longer knows', () => {
    const novelty = new SeenIds();
    const odd = (from: number) => Array.from({ length: 1000 }, (_, index) => from + 2 * index + 1);
    for (let after = 0; after < 200_000; after += 2000) take(novelty, after, odd(after));
    expect(take(novelty, 0, odd(0)).newEvents).toEqual([]);
    expect(
      take(
        novelty,
        198_000,
        [...odd(198_000), 199_000].sort((a, b) => a - b),
      ).newEvents,
    ).toHaveLength(1);
  });

  it('tells how long an event took to show where the end of the log was seen just before', () => {
    const novelty = new SeenIds();
    expect(take(novelty, 0, [1], 0, noon - 86_400_000).delaysMs).toEqual([]);
    take(novelty, 0, [1], 15);
    expect(take(novelty, 0, [1, 2, 3], 30, noon + 28_000).delaysMs).toEqual([2_000, 2_000]);
  });

  it('takes no backlog for a slow server', () => {
    const novelty = new SeenIds();
    take(novelty, 0, [1], 0);
    take(novelty, 0, [1], 1);
    expect(take(novelty, 0, [1, 2], 3_600, noon + 60_000).delaysMs).toEqual([]);
    expect(take(novelty, 2, [3], 3_601, noon + 60_000).delaysMs).toEqual([]);
  });
});
