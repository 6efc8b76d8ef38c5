import { describe, expect, it } from 'vitest';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';

const second = 1_000;

describe('a start at a time', () => {
  it.each(['time', 'now'] as const)(
    'skips no event that was created since and appears behind older ones (%s)',
    async (kind) => {
      const log = new Log();
      const startMs = log.nowMs;
      const row = (id: number, createdMs: number, visibleMs = createdMs) => ({
        id,
        createdAtMs: startMs + createdMs,
        visibleMs: startMs + visibleMs,
      });
      log.rows.push(
        row(1, -300 * second),
        row(2, -5 * second),
        row(3, 200, 4 * second),
        row(4, -100),
        row(5, second, -second),
      );
      const store = new MemoryStore();
      const startAt = kind === 'now' ? { kind } : { kind, timeMs: startMs };
      const first = await startPipeline(log, store, { startAt });
      await first.poll();
      expect(first.sink.taken).toEqual([5n]);
      log.nowMs += 10 * second;
      // Another process continues; nothing older is delivered.
      const next = await startPipeline(log, store, { startAt });
      await next.poll();
      expect(next.sink.taken).toEqual([3n]);
      log.nowMs += 120 * second;
      await next.poll();
      expect(store.last).toMatchObject({ after: 5n, delivered: [] });
    },
  );
});

describe('a full page of known events', () => {
  it('does not end the poll', async () => {
    class Capped extends Log {
      override async page(after: bigint) {
        const page = await super.page(after);
        return { ...page, events: page.events.slice(0, 100) };
      }
    }
    const log = new Capped();
    const add = (count: number) => {
      for (let n = 0; n < count; n++)
        log.rows.push({ id: log.rows.length + 1, createdAtMs: log.nowMs, visibleMs: log.nowMs });
    };
    const store = new MemoryStore();
    add(100);
    await (await startPipeline(log, store)).poll();
    add(2);
    const second = await startPipeline(log, store);
    await second.poll();
    expect(second.sink.taken).toEqual([101n, 102n]);
    add(500);
    const third = await startPipeline(log, store);
    await third.poll();
    expect(third.sink.taken).toHaveLength(500);
  });
});
