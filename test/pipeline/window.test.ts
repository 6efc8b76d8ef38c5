import { describe, expect, it } from 'vitest';
import { Log, MemoryStore, type Row, startPipeline } from '../support/pipelines.ts';

describe('a busy minute of 60,000 events', () => {
  it.each([
    ['in runs', 1, 256],
    ['with a hole after every id', 2, 1024],
  ])(
    '%s keeps the checkpoint small and the polls within their allowance, and loses no late event',
    async (_, gap, kib) => {
      const log = new Log();
      const start = log.nowMs;
      const perSecond = 1_000;
      for (let i = 1; i <= 120_000; i++) {
        const createdAtMs = start + i;
        // One in 997 is seen up to most of `settle` later.
        const late = i % 997 === 0 ? 20_000 + (i % 30_000) : 0;
        log.rows.push({ id: i * gap, createdAtMs, visibleMs: createdAtMs + late });
      }
      const store = new MemoryStore();
      const { sink, events, poll, pipeline } = await startPipeline(log, store);
      const pollMs = 15_000;
      let most = 0;
      for (let polls = 0; polls < 8 + 8; polls++) {
        log.nowMs += pollMs;
        const before = log.requests;
        await poll();
        most = Math.max(most, log.requests - before);
      }
      expect(most).toBeLessThanOrEqual((pollMs / 1000) * 10);
      expect(most).toBeLessThan(((2 * perSecond * pollMs) / 1000 / 1000) * 1.5 + 5);
      expect(store.largestBytes).toBeLessThan(kib * 1024);
      const came = new Set(sink.taken);
      expect(sink.taken.length).toBe(120_000);
      expect(came.size).toBe(120_000);
      expect(events.filter(({ event }) => event === 'pipeline.late').length).toBeGreaterThan(1);
      expect(pipeline.after).toBe(BigInt(120_000 * gap));
      expect(store.last?.delivered).toEqual([]);
    },
    60_000,
  );
});

describe('a pipeline that was stopped for longer than settle', () => {
  it('delivers once what appeared behind its cursor meanwhile', async () => {
    const log = new Log();
    const at = log.nowMs;
    const row = (id: number, visibleMs: number): Row => ({ id, createdAtMs: at, visibleMs });
    log.rows.push(row(1, at), row(2, at + 30_000), row(3, at), row(4, at + 500_000));
    const store = new MemoryStore();
    const first = await startPipeline(log, store);
    await first.poll();
    expect(first.sink.taken).toEqual([1n, 3n]);
    log.nowMs += 600_000;
    const second = await startPipeline(log, store);
    await second.poll();
    expect(second.sink.taken).toEqual([2n, 4n]);
    await second.poll();
    expect(second.pipeline.after).toBe(4n);
  });
});
