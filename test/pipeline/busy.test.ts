import { describe, expect, it } from 'vitest';
import { Log, MemoryStore, routed } from '../support/routed.ts';

/** A tenant that is never still: each answer takes a while, and new events are there by the next one. */
class Busy extends Log {
  readonly #perPage: number;
  constructor(perPage: number) {
    super();
    this.#perPage = perPage;
  }
  override async page(after: bigint) {
    if (this.requests > 5_000) throw new Error('asked without end');
    this.nowMs += 100;
    for (let i = 0; i < this.#perPage; i++) this.grow(this.nowMs);
    return super.page(after);
  }
  grow(createdAtMs: number, visibleMs = createdAtMs): void {
    this.rows.push({ id: this.rows.length * 2 + 1, createdAtMs, visibleMs });
  }
}

describe('on a tenant that is never still', () => {
  it('a poll ends once it has read what was there when it began', async () => {
    const log = new Busy(3);
    for (let i = 0; i < 4_500; i++) log.grow(log.nowMs - 1_000_000);
    const { poll, sink } = await routed(log, new MemoryStore());
    await poll();
    expect(sink.taken.length).toBeGreaterThanOrEqual(4_500);
    expect(log.requests).toBeLessThan(10);
  });

  it('the window of late events is read again, and does not grow for ever', async () => {
    const log = new Busy(3);
    const store = new MemoryStore();
    const { poll, route, sink } = await routed(log, store);
    for (let polls = 0; polls < 40; polls++) {
      log.nowMs += 15_000;
      log.grow(log.nowMs, log.nowMs + 40_000);
      await poll();
    }
    const settledAt = log.nowMs - 120_000;
    const settled = log.rows.filter(({ createdAtMs }) => createdAtMs < settledAt).map(({ id }) => BigInt(id));
    expect(settled.filter((id) => !sink.taken.includes(id))).toEqual([]);
    expect(route.after).toBeGreaterThanOrEqual(settled.at(-1) ?? 0n);
  });

  it('reads events on that are dated after the poll as long as the pages are full', async () => {
    const log = new Log();
    for (let id = 1; id <= 2_500; id++) log.rows.push({ id, createdAtMs: log.nowMs + 1e9, visibleMs: 0 });
    const { poll, sink } = await routed(log, new MemoryStore());
    await poll();
    expect(sink.taken).toHaveLength(2_500);
  });
});

describe('a restart with many events within settle, and a backlog', () => {
  it('reads the window again before the news, so that the checkpoint stays small', async () => {
    const log = new Log();
    const store = new MemoryStore();
    const add = (count: number) => {
      for (let i = 0; i < count; i++) {
        const id = log.rows.length * 2 + 1;
        log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs });
      }
    };
    add(3_000);
    await (await routed(log, store)).poll();
    expect(store.last?.delivered).toHaveLength(3_000);
    const before = store.largestBytes;
    add(30_000);
    log.nowMs += 600_000;
    const { poll, sink } = await routed(log, store);
    await poll();
    expect(sink.taken).toHaveLength(30_000);
    expect(store.largestBytes).toBeLessThan(before * 1.5);
  });
});
