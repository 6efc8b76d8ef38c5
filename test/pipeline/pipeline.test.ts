import { describe, expect, it } from 'vitest';
import { Notifier } from '../../src/lib/notifier.ts';
import { sleep } from '../../src/lib/shutdown.ts';
import type { Verdict } from '../../src/lib/verdict.ts';
import { SourceStop } from '../../src/source/source.ts';
import { freeze, ScriptedSink } from '../support/fake-sink.ts';
import { Log, MemoryStore, routed } from '../support/routed.ts';

/** Three events, and then what `refuse` says. */
function log(refuse: () => void = () => {}): Log {
  class Refusing extends Log {
    override async page(after: bigint) {
      if (after === 3n) refuse();
      return super.page(after);
    }
  }
  const built = new Refusing();
  for (const id of [1, 2, 3]) built.rows.push({ id, createdAtMs: 0, visibleMs: 0 });
  return built;
}

function frozen(): ScriptedSink {
  const sink = new ScriptedSink();
  sink.answer = (_batch, _attempt, kill) => freeze(kill);
  return sink;
}

/** A quick schedule. */
const ticks = {
  async next(_: number, stop: AbortSignal) {
    await sleep(2, stop);
    return stop.aborted ? undefined : performance.now();
  },
};

/** Looks again whenever the event loop turns. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a route', () => {
  it('has the next page asked for while the last is still being delivered', async () => {
    let take: (verdict: Verdict) => void = () => {};
    const sink = new ScriptedSink();
    sink.answer = () => new Promise((resolve) => (take = resolve));
    const reading = log();
    const { poll } = await routed(reading, new MemoryStore(), { openSink: () => sink });
    const polled = poll();
    await until(() => sink.sends.length === 1);
    await until(() => reading.requests === 2);
    expect(sink.sends).toHaveLength(1);
    take({ kind: 'accepted' });
    await polled;
  });

  it('ends for the reason its source gives, though its sink hangs', async () => {
    const sink = frozen();
    const refusing = log(() => {
      throw new SourceStop(77, 'the key is refused');
    });
    const { route, signals } = await routed(refusing, new MemoryStore(), { openSink: () => sink, graceMs: () => 200 });
    await expect(route.run(ticks, signals)).rejects.toThrow('the key is refused');
    expect(sink.sends).toHaveLength(1);
  });

  it('waits in once for what an earlier process sent, and sends again what of it got lost', async () => {
    let tell: (verdict: Verdict) => void = () => {};
    const sink = new ScriptedSink(2);
    sink.resumed = [
      { ranges: [[1n, 1n]], confirmed: Promise.resolve({ kind: 'accepted' }) },
      { ranges: [[2n, 2n]], confirmed: new Promise((resolve) => (tell = resolve)) },
    ];
    const store = new MemoryStore();
    const { route, poll } = await routed(log(), store, { openSink: () => sink });
    const once = poll();
    await until(() => sink.taken.length === 1);
    expect(route.awaitsSink).toBe(true);
    tell({ kind: 'retry', reason: 'timeout', detail: 'never acknowledged' });
    await once;
    expect(sink.taken).toEqual([3n, 2n]);
    expect(route.awaitsSink).toBe(false);
    expect(store.last?.after).toBe(3n);
  });

  it('makes progress with each event it sets aside, though its sink accepts none', async () => {
    const sink = new ScriptedSink();
    const { route, poll, happenings } = await routed(log(), new MemoryStore(), { openSink: () => sink });
    const sends: { atMs: number; setAside: number; progressMs: number }[] = [];
    sink.answer = () => {
      const setAside = happenings.filter(({ event }) => event === 'pipeline.set_aside').length;
      sends.push({ atMs: performance.now(), setAside, progressMs: route.lastProgressMs });
      return { kind: 'reject', reason: 'malformed', detail: 'not JSON to it' };
    };
    await poll();
    const after = sends.filter(({ setAside }, index) => setAside > (sends[index - 1]?.setAside ?? 0));
    expect(after).toHaveLength(2);
    for (const send of after) {
      const before = sends[sends.indexOf(send) - 1];
      expect(send.progressMs).toBeGreaterThanOrEqual(before?.atMs ?? Number.NaN);
    }
  });

  it('ends when it is stopped, though its sink hangs and nobody kills it', async () => {
    const sink = frozen();
    const { route, signals, stop } = await routed(log(), new MemoryStore(), {
      openSink: () => sink,
      graceMs: () => 200,
    });
    const run = route.run(ticks, signals);
    await until(() => sink.sends.length === 1);
    stop.abort();
    await run;
    expect(route.isComplete).toBe(false);
  });

  it('ends when it is given up, though the disk is full', async () => {
    const store = new MemoryStore();
    const { route, happenings } = await routed(log(), store);
    store.isFull = true;
    const stop = new AbortController();
    const kill = new AbortController();
    const once = route.once(performance.now(), { graceful: stop.signal, forced: kill.signal });
    await until(() => happenings.some(({ event }) => event === 'checkpoint.retry'));
    stop.abort();
    kill.abort(new Error('given up'));
    await once;
    expect(route.isSaved).toBe(false);
  });

  it('is not done once all is confirmed: that has to be saved, however long the disk is full', async () => {
    const store = new MemoryStore();
    const { route, signals, happenings } = await routed(log(), store, { graceMs: () => 1 });
    store.isFull = true;
    const once = route.once(performance.now(), signals);
    await until(() => happenings.filter(({ event }) => event === 'checkpoint.retry').length > 10);
    store.isFull = false;
    await once;
    expect(store.last?.after).toBe(3n);
  });

  it('saves what was confirmed as soon as there is room, also while it stops', async () => {
    const store = new MemoryStore();
    const sink = new ScriptedSink();
    let take: () => void = () => {};
    sink.answer = ({ records }) => new Promise((resolve) => (take = () => resolve(sink.take(records))));
    const { route, signals, stop, happenings } = await routed(log(), store, { openSink: () => sink });
    const run = route.run(ticks, signals);
    await until(() => sink.sends.length === 1);
    store.isFull = true;
    take();
    const tries = () => happenings.filter(({ event }) => event === 'checkpoint.retry').length;
    await until(() => tries() > 0);
    stop.abort();
    await until(() => tries() > 2);
    store.isFull = false;
    await run;
    expect(store.last?.after).toBe(3n);
  });

  it('tries a parked sink at once when it is woken', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt === 1 ? { kind: 'stop', reason: 'auth', detail: 'bad token' } : sink.take(batch.records);
    const wake = new Notifier();
    const { route, poll } = await routed(log(), new MemoryStore(), { openSink: () => sink, wake });
    const once = poll();
    await until(() => route.parked !== undefined);
    wake.notify();
    await once;
    expect(sink.taken).toEqual([1n, 2n, 3n]);
  });
});
