import { describe, expect, it } from 'vitest';
import type { Happening } from '../../src/core/happening.ts';
import { sleep } from '../../src/core/life.ts';
import { Notifier } from '../../src/core/notifier.ts';
import type { Verdict } from '../../src/core/verdict.ts';
import { createFormat } from '../../src/format/formats.ts';
import { Route, type RouteOptions } from '../../src/route/route.ts';
import { type Source, SourceStop } from '../../src/source/source.ts';
import { auditEvent } from '../support/audit-events.ts';
import { freeze, ScriptedSink } from '../support/fake-sink.ts';
import { MemoryStore } from '../support/memory-store.ts';

/** A log that holds `ids` from the start; what is to happen instead of an answer is told by `refuse`. */
class Log implements Source {
  readonly trouble = undefined;
  readonly asked: bigint[] = [];
  ids: bigint[];
  pageSize = 10;
  refuse: (after: bigint) => SourceStop | undefined = () => undefined;

  constructor(...ids: number[]) {
    this.ids = ids.map(BigInt);
  }

  async peek(after: bigint) {
    const page = await this.page(after);
    return { ...page, events: page.events.slice(0, 1) };
  }

  async page(after: bigint) {
    this.asked.push(after);
    const stop = this.refuse(after);
    if (stop !== undefined) throw stop;
    const moment = { monotonicMs: performance.now(), serverMs: Date.now() };
    const text = (id: bigint) => `{"id":${id},"action":"a.b","createdAt":"2026-01-01T00:00:00Z"}`;
    const events = this.ids
      .filter((id) => id > after)
      .slice(0, this.pageSize)
      .map((id) => auditEvent(text(id), id));
    return { after, events, asked: moment, answered: moment };
  }
}

async function route(source: Source, sink: ScriptedSink, store = new MemoryStore(), more: Partial<RouteOptions> = {}) {
  const stop = new AbortController();
  const kill = new AbortController();
  const life = { stop: stop.signal, kill: kill.signal };
  const happenings: Happening[] = [];
  const built = await Route.open(
    {
      name: 'test',
      origin: 'https://acme.eu1.qasphere.com',
      source,
      openSink: () => sink,
      store,
      deadLetter: { open: async () => {}, append: async () => {} },
      settleMs: 60_000,
      pageSize: 10,
      startAt: { kind: 'beginning' },
      observe: (h) => happenings.push(h),
      now: Date.now,
      random: () => 0,
      wake: new Notifier(),
      graceMs: 200,
      format: createFormat('json', { envelope: false }, { tenant: 'acme', version: '0' }),
      wants: () => true,
      redact: (event) => event,
      ...more,
    },
    life,
  );
  if (built === undefined) throw new Error('the route did not open');
  return { built, life, stop, kill, store, happenings };
}

/** A quick schedule. */
const ticks = {
  async next(_: number, stop: AbortSignal) {
    await sleep(2, stop);
    return stop.aborted ? undefined : performance.now();
  },
};
const key = () => new SourceStop(77, 'the key is refused');

describe('a route', () => {
  it('ends for the reason its source gives, though its sink hangs', async () => {
    const log = new Log(1, 2, 3);
    log.refuse = (after) => (after === 3n ? key() : undefined);
    const sink = new ScriptedSink();
    sink.answer = (_batch, _attempt, kill) => freeze(kill);
    const { built, life } = await route(log, sink);
    await expect(built.run(ticks, life)).rejects.toThrow('the key is refused');
    expect(sink.sends).toHaveLength(1);
  });

  it('ends when it is stopped, though its sink hangs and nobody kills it', async () => {
    const sink = new ScriptedSink();
    sink.answer = (_batch, _attempt, kill) => freeze(kill);
    const { built, life, stop } = await route(new Log(1, 2, 3), sink);
    const run = built.run(ticks, life);
    await until(() => sink.sends.length === 1);
    stop.abort();
    await run;
    expect(built.lane.isIdle).toBe(false);
  });

  it('ends when it is given up, though the disk is full', async () => {
    const store = new MemoryStore();
    const { built, happenings } = await route(new Log(1, 2, 3), new ScriptedSink(), store, { graceMs: 60_000 });
    store.isFull = true;
    const stop = new AbortController();
    const kill = new AbortController();
    const once = built.once(performance.now(), { stop: stop.signal, kill: kill.signal });
    await until(() => happenings.some(({ event }) => event === 'checkpoint.retry'));
    stop.abort();
    kill.abort(new Error('given up'));
    await once;
    expect(built.isSaved).toBe(false);
  });

  it('waits in once for what an earlier process sent, and sends again what of it got lost', async () => {
    let tell: (verdict: Verdict) => void = () => {};
    const sink = new ScriptedSink(2);
    sink.recovered = [
      { ranges: [[1n, 2n]], confirmed: Promise.resolve({ kind: 'accepted' }) },
      { ranges: [[3n, 4n]], confirmed: new Promise((resolve) => (tell = resolve)) },
    ];
    const { built, life, store, happenings } = await route(new Log(1, 2, 3, 4, 5), sink);
    const once = built.once(performance.now(), life);
    await until(() => happenings.some(({ event }) => event === 'route.delivered'));
    expect(sink.taken).toEqual([5n]);
    expect(built.awaitsSink).toBe(true);
    tell({ kind: 'retry', reason: 'timeout', detail: 'never acknowledged' });
    await once;
    expect(sink.taken).toEqual([5n, 3n, 4n]);
    expect(store.saved.get('test')?.after).toBe(5n);
  });

  it('is not done once all is confirmed: that has to be saved, however long the disk is full', async () => {
    const store = new MemoryStore();
    const { built, life, happenings } = await route(new Log(1, 2, 3), new ScriptedSink(), store, { graceMs: 1 });
    store.isFull = true;
    const once = built.once(performance.now(), life);
    await until(() => happenings.filter(({ event }) => event === 'checkpoint.retry').length > 10);
    store.isFull = false;
    await once;
    expect(store.saved.get('test')?.after).toBe(3n);
  });

  it('saves what was confirmed as soon as there is room, also while it stops', async () => {
    const store = new MemoryStore();
    const { built, life, stop, happenings } = await route(new Log(1, 2, 3), new ScriptedSink(), store, {
      graceMs: 60_000,
    });
    const run = built.run(ticks, life);
    store.isFull = true;
    await until(() => happenings.some(({ event }) => event === 'checkpoint.retry'));
    stop.abort();
    await until(() => happenings.filter(({ event }) => event === 'checkpoint.retry').length > 1);
    store.isFull = false;
    await run;
    expect(store.saved.get('test')?.after).toBe(3n);
  });
});

/** Looks again whenever the event loop turns. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}
