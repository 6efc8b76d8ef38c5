import { describe, expect, it } from 'vitest';
import type { Cursor } from '../../src/event/event.ts';
import { accepted, type Verdict } from '../../src/lib/verdict.ts';
import type { Page } from '../../src/source/source.ts';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';
import { ScriptedSink } from '../support/scripted-sink.ts';

/** A log with pages of at most 100 events. */
class SmallPages extends Log {
  override async page(after: Cursor): Promise<Page> {
    const page = await super.page(after);
    return { ...page, events: page.events.slice(0, 100) };
  }
}

/** Fills a log with events of now; `actions` names those of some ids. */
function fill<L extends Log>(log: L, count: number, { gap = 1, actions = {} }: Filling = {}): L {
  for (let index = 1; index <= count; index++) {
    const id = index * gap;
    const action = actions[id] ?? 'dropped';
    log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs, action });
  }
  return log;
}

interface Filling {
  readonly gap?: number;
  readonly actions?: Readonly<Record<number, string>>;
}

const wants = (action: string) => action === 'kept';
const busy: Verdict = { kind: 'retry', reason: 'server', detail: 'server busy' };

/** Checks at every turn of the event loop. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until a value no longer changes. */
async function settled(value: () => number): Promise<number> {
  for (let same = 0, last = value(); same < 200; same++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (value() !== last) [same, last] = [0, value()];
  }
  return value();
}

/** A sink whose batches are confirmed when the test says so. */
function confirmable(window: number, maxEvents: number) {
  const sink = Object.assign(new ScriptedSink(window), { limits: { maxEvents, maxBytes: 1e9 } });
  const open: { ids: bigint[]; resolve: (verdict: Verdict) => void }[] = [];
  sink.answer = ({ records }) => {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    open.push({ ids: records.map(({ event }) => event.id), resolve });
    return { kind: 'sent', confirmed: promise };
  };
  return { sink, open };
}

describe('an undelivered event below newer ones', () => {
  it('is delivered by the first poll of the next process, however large the window is', async () => {
    const log = fill(new SmallPages(), 500, { actions: { 150: 'kept' } });
    const store = new MemoryStore();
    const down = new ScriptedSink();
    down.answer = () => busy;
    const options = { wants, pageSize: 100 };
    const first = await startPipeline(log, store, { ...options, openSink: () => down });
    const polled = first.poll();
    await until(() => store.last?.delivered.at(-1)?.[1] === 500n);
    first.stop.abort();
    await polled;
    const next = await startPipeline(log, store, options);
    await next.poll();
    expect(next.sink.taken).toEqual([150n]);
    expect(store.done()).toHaveLength(500);
  });

  it('makes the reader wait once too much is done above it', async () => {
    const log = fill(new Log(), 50_000, { gap: 2, actions: { 2: 'kept' } });
    const store = new MemoryStore();
    const down = new ScriptedSink();
    let isDown = true;
    down.answer = ({ records }) => (isDown ? busy : down.take(records));
    const { poll, pipeline } = await startPipeline(log, store, { wants, openSink: () => down });
    const polled = poll();
    await until(() => down.sends.length > 0);
    expect(await settled(() => log.requests)).toBeLessThan(15);
    expect(store.largestBytes).toBeLessThan(512 * 1024);
    isDown = false;
    await polled;
    expect(pipeline.head).toBe(100_000n);
    expect(down.taken).toEqual([2n]);
  });
});

describe('with settle off', () => {
  it('a clean stop and start repeats only what was not confirmed', async () => {
    const log = fill(new Log(), 10, {});
    const store = new MemoryStore();
    const { sink, open } = confirmable(10, 1);
    const first = await startPipeline(log, store, { settleMs: 0, openSink: () => sink, graceMs: () => 20 });
    const polled = first.poll();
    await until(() => open.length === 10);
    for (const { ids, resolve } of open) if (!ids.includes(4n)) resolve(accepted);
    await until(() => store.done().length === 9);
    first.stop.abort();
    await polled;
    const next = await startPipeline(log, store, { settleMs: 0 });
    await next.poll();
    expect(next.sink.taken).toEqual([4n]);
  });

  it('so does a start with settle off after a run with settle', async () => {
    const log = fill(new Log(), 10);
    const store = new MemoryStore();
    await (await startPipeline(log, store)).poll();
    const next = await startPipeline(log, store, { settleMs: 0 });
    await next.poll();
    expect(next.sink.taken).toEqual([]);
    expect(store.last).toMatchObject({ after: 10n, delivered: [] });
  });

  it('polls do not read again what is in flight, and all of it is saved once it is confirmed', async () => {
    const log = fill(new SmallPages(), 3_000);
    const store = new MemoryStore();
    const { sink, open } = confirmable(100, 100);
    const { pipeline, signals, stop } = await startPipeline(log, store, {
      settleMs: 0,
      pageSize: 100,
      openSink: () => sink,
    });
    let polls = 0;
    const ticks = {
      async next(_: number, stopped: AbortSignal) {
        await new Promise((resolve) => setImmediate(resolve));
        polls += 1;
        return stopped.aborted ? undefined : log.nowMs;
      },
    };
    const run = pipeline.run(ticks, signals);
    await until(() => open.length === 30);
    const before = { requests: log.requests, polls };
    await until(() => polls >= before.polls + 10);
    expect((log.requests - before.requests) / (polls - before.polls)).toBeLessThan(2);
    stop.abort();
    for (const { resolve } of open.reverse()) resolve(accepted);
    await run;
    expect(store.last).toMatchObject({ after: 3_000n, delivered: [] });
  });
});

describe('without a server clock', () => {
  it('a window of several pages settles as a whole after a restart', async () => {
    class NoDate extends SmallPages {
      override async page(after: Cursor): Promise<Page> {
        const moment = { monotonicMs: this.nowMs, serverMs: undefined };
        return { ...(await super.page(after)), asked: moment, answered: moment };
      }
    }
    const log = fill(new NoDate(), 1_000);
    const store = new MemoryStore();
    await (await startPipeline(log, store, { pageSize: 100 })).poll();
    expect(store.last?.after).toBe(0n);
    const { poll } = await startPipeline(log, store, { pageSize: 100 });
    await poll();
    log.nowMs += 61_000;
    await poll();
    expect(store.last).toMatchObject({ after: 1_000n, delivered: [] });
  });
});

describe('an event that appears later than settle allows', () => {
  it('is reported with its id when a page shows it, and not delivered', async () => {
    const log = new Log();
    const at = log.nowMs;
    log.rows.push(
      { id: 8, createdAtMs: at, visibleMs: at },
      { id: 9, createdAtMs: at + 4_000, visibleMs: at + 9_000 },
      { id: 10, createdAtMs: at, visibleMs: at },
    );
    const { poll, sink, events, pipeline } = await startPipeline(log, new MemoryStore(), { settleMs: 6_000 });
    await poll();
    log.nowMs += 6_500;
    await poll();
    expect(pipeline.after).toBe(10n);
    log.nowMs += 600_000;
    for (const _ of [1, 2]) await poll();
    expect(sink.taken).toEqual([8n, 10n]);
    expect(events.filter(({ event }) => event === 'pipeline.missed')).toEqual([
      { event: 'pipeline.missed', sink: 'test', events: 1, first: 9n, last: 9n },
    ]);
  });
});
