import { describe, expect, it } from 'vitest';
import { Novelty } from '../../src/source/novelty.ts';
import { auditEvent } from '../support/audit-events.ts';

const noon = Date.UTC(2026, 0, 1, 12);
const at = (seconds: number) => ({ monotonicMs: seconds * 1000, serverMs: noon + seconds * 1000 });
const take = (novelty: Novelty, after: number, ids: number[], seconds = 0, createdAt = noon) =>
  novelty.take(
    BigInt(after),
    ids.map((id) => auditEvent(JSON.stringify({ id, createdAt: new Date(createdAt).toISOString() }), BigInt(id))),
    at(seconds),
    at(seconds),
  );

describe('what of a page is new', () => {
  it('counts an event once, however often the window behind the cursor is read again', () => {
    const novelty = new Novelty();
    expect(take(novelty, 0, [1, 2, 5]).fresh).toHaveLength(3);
    expect(take(novelty, 0, [1, 2, 5, 6]).fresh).toHaveLength(1);
    expect(take(novelty, 2, [5, 6]).fresh).toHaveLength(0);
  });

  it('counts what a route far behind reads', () => {
    const novelty = new Novelty();
    take(novelty, 1000, [1001, 1002]);
    expect(take(novelty, 0, [7, 9]).fresh).toHaveLength(2);
    expect(take(novelty, 9, [1000, 1001]).fresh).toHaveLength(1);
    expect(take(novelty, 0, [7, 9, 1000, 1001, 1002, 1003]).fresh).toHaveLength(1);
  });

  it('tells how long an event took to show where the end of the log was seen just before', () => {
    const novelty = new Novelty();
    expect(take(novelty, 0, [1], 0, noon - 86_400_000).delaysMs).toEqual([]);
    take(novelty, 0, [1], 15);
    expect(take(novelty, 0, [1, 2, 3], 30, noon + 28_000).delaysMs).toEqual([2_000, 2_000]);
  });

  it('takes no backlog for a slow server', () => {
    const novelty = new Novelty();
    take(novelty, 0, [1], 0);
    take(novelty, 0, [1], 1);
    expect(take(novelty, 0, [1, 2], 3_600, noon + 60_000).delaysMs).toEqual([]);
    expect(take(novelty, 2, [3], 3_601, noon + 60_000).delaysMs).toEqual([]);
  });
});
