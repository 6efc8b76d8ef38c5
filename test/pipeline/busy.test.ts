import { describe, expect, it } from 'vitest';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';

/** A busy tenant: each response takes a while, and new events exist by the next one. */
class Busy extends Log {
  readonly #perPage: number;
  constructor(perPage: number) {
    super();
    this.#perPage = perPage;
  }
  override async page(after: bigint) {
    if (this.requests > 5_000) throw new Error('endless requests');
    this.nowMs += 100;
    for (let i = 0; i < this.#perPage; i++) this.grow(this.nowMs);
    return super.page(after);
  }
  grow(createdAtMs: number, visibleMs = createdAtMs): void {
    this.rows.push({ id: this.rows.length * 2 + 1, createdAtMs, visibleMs });
  }
}

describe('a busy tenant', () => {
  it('ends a poll once everything that existed at its start is read', async () => {
    const log = new Busy(3);
    for (let i = 0; i < 4_500; i++) log.grow(log.nowMs - 1_000_000);
    const { poll, sink } = await startPipeline(log, new MemoryStore());
    await poll();
    expect(sink.taken.length).toBeGreaterThanOrEqual(4_500);
    expect(log.requests).toBeLessThan(10);
  });

  it('reads the window of late events again, so it stays bounded', async () => {
    const log = new Busy(3);
    const store = new MemoryStore();
    const { poll, pipeline, sink } = await startPipeline(log, store);
    for (let polls = 0; polls < 40; polls++) {
      log.nowMs += 15_000;
      log.grow(log.nowMs, log.nowMs + 40_000);
      await poll();
    }
    const settledAt = log.nowMs - 120_000;
    const settled = log.rows.filter(({ createdAtMs }) => createdAtMs < settledAt).map(({ id }) => BigInt(id));
    expect(settled.filter((id) => !sink.taken.includes(id))).toEqual([]);
    expect(pipeline.after).toBeGreaterThanOrEqual(settled.at(-1) ?? 0n);
  });

  it('reads on while pages are full, even if their events are dated after the poll', async () => {
    const log = new Log();
    for (let id = 1; id <= 2_500; id++) log.rows.push({ id, createdAtMs: log.nowMs + 1e9, visibleMs: 0 });
    const { poll, sink } = await startPipeline(log, new MemoryStore());
    await poll();
    expect(sink.taken).toHaveLength(2_500);
  });
});

describe('a restart with a large window and a backlog', () => {
  it('reads the window before the new events, so the checkpoint stays small', async () => {
    const log = new Log();
    const store = new MemoryStore();
    const add = (count: number) => {
      for (let i = 0; i < count; i++) {
        const id = log.rows.length * 2 + 1;
        log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs });
      }
    };
    add(3_000);
    await (await startPipeline(log, store)).poll();
    expect(store.last?.delivered).toHaveLength(3_000);
    const before = store.largestBytes;
    add(30_000);
    log.nowMs += 600_000;
    const { poll, sink } = await startPipeline(log, store);
    await poll();
    expect(sink.taken).toHaveLength(30_000);
    expect(store.largestBytes).toBeLessThan(before * 1.5);
  });
});
