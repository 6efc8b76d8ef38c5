import { describe, expect, it } from 'vitest';
import { Notifier } from '../../src/lib/notifier.ts';
import { sleep } from '../../src/lib/shutdown.ts';
import type { Verdict } from '../../src/lib/verdict.ts';
import { SourceStop } from '../../src/source/source.ts';
import { type Checkpoint, Fenced, StateProblem } from '../../src/state/store.ts';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';
import { freeze, ScriptedSink } from '../support/scripted-sink.ts';

/** Three events, then what `refuse` does. */
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

/** Checks at every turn of the event loop. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a pipeline', () => {
  it('fetches the next page while the last one is being delivered', async () => {
    let take: (verdict: Verdict) => void = () => {};
    const sink = new ScriptedSink();
    sink.answer = () => new Promise((resolve) => (take = resolve));
    const reading = log();
    const { poll } = await startPipeline(reading, new MemoryStore(), { openSink: () => sink });
    const polled = poll();
    await until(() => sink.sends.length === 1);
    await until(() => reading.requests === 2);
    expect(sink.sends).toHaveLength(1);
    take({ kind: 'accepted' });
    await polled;
  });

  it('ends with the error of its source even if its sink hangs', async () => {
    const sink = frozen();
    const refusing = log(() => {
      throw new SourceStop(77, 'the key is refused');
    });
    const { pipeline, signals } = await startPipeline(refusing, new MemoryStore(), {
      openSink: () => sink,
      graceMs: () => 200,
    });
    await expect(pipeline.run(ticks, signals)).rejects.toThrow('the key is refused');
    expect(sink.sends).toHaveLength(1);
  });

  it('waits in once for the batches of an earlier process, and sends the lost ones again', async () => {
    let tell: (verdict: Verdict) => void = () => {};
    const sink = new ScriptedSink(2);
    sink.resumed = [
      { ranges: [[1n, 1n]], confirmed: Promise.resolve({ kind: 'accepted' }) },
      { ranges: [[2n, 2n]], confirmed: new Promise((resolve) => (tell = resolve)) },
    ];
    const store = new MemoryStore();
    const { pipeline, poll } = await startPipeline(log(), store, { openSink: () => sink });
    const once = poll();
    await until(() => sink.taken.length === 1);
    expect(pipeline.awaitsSink).toBe(true);
    tell({ kind: 'retry', reason: 'timeout', detail: 'never acknowledged', acceptedIndexes: [] });
    await once;
    expect(sink.taken).toEqual([3n, 2n]);
    expect(pipeline.awaitsSink).toBe(false);
    expect(store.last?.after).toBe(3n);
  });

  it('counts each dead-lettered event as progress, even if its sink accepts none', async () => {
    const sink = new ScriptedSink();
    const { pipeline, poll, events } = await startPipeline(log(), new MemoryStore(), { openSink: () => sink });
    const sends: { atMs: number; setAside: number; progressMs: number }[] = [];
    sink.answer = () => {
      const setAside = events.filter(({ event }) => event === 'pipeline.set_aside').length;
      sends.push({ atMs: performance.now(), setAside, progressMs: pipeline.lastProgressMs });
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

  it('ends after its grace period if its sink hangs', async () => {
    const sink = frozen();
    const { pipeline, signals, stop } = await startPipeline(log(), new MemoryStore(), {
      openSink: () => sink,
      graceMs: () => 200,
    });
    const run = pipeline.run(ticks, signals);
    await until(() => sink.sends.length === 1);
    stop.abort();
    await run;
    expect(pipeline.isComplete).toBe(false);
  });

  it('ends at a forced stop even if the disk is full', async () => {
    const store = new MemoryStore();
    const { pipeline, events } = await startPipeline(log(), store);
    store.isFull = true;
    const stop = new AbortController();
    const kill = new AbortController();
    const once = pipeline.once(performance.now(), { graceful: stop.signal, forced: kill.signal });
    await until(() => events.some(({ event }) => event === 'checkpoint.retry'));
    stop.abort();
    kill.abort(new Error('given up'));
    await once;
    expect(pipeline.isSaved).toBe(false);
  });

  it('does not finish before everything confirmed is saved, however long the disk is full', async () => {
    const store = new MemoryStore();
    const { pipeline, signals, events } = await startPipeline(log(), store, { graceMs: () => 1 });
    store.isFull = true;
    const once = pipeline.once(performance.now(), signals);
    await until(() => events.filter(({ event }) => event === 'checkpoint.retry').length > 10);
    store.isFull = false;
    await once;
    expect(store.last?.after).toBe(3n);
  });

  it('saves what was confirmed as soon as the disk has room, also while it stops', async () => {
    const store = new MemoryStore();
    const sink = new ScriptedSink();
    let take: () => void = () => {};
    sink.answer = ({ records }) => new Promise((resolve) => (take = () => resolve(sink.take(records))));
    const { pipeline, signals, stop, events } = await startPipeline(log(), store, { openSink: () => sink });
    const run = pipeline.run(ticks, signals);
    await until(() => sink.sends.length === 1);
    store.isFull = true;
    take();
    const tries = () => events.filter(({ event }) => event === 'checkpoint.retry').length;
    await until(() => tries() > 0);
    stop.abort();
    await until(() => tries() > 2);
    store.isFull = false;
    await run;
    expect(store.last?.after).toBe(3n);
  });

  it('tries a parked sink at once at a SIGHUP', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt === 1 ? { kind: 'stop', reason: 'auth', detail: 'bad token' } : sink.take(batch.records);
    const wake = new Notifier();
    const { pipeline, poll } = await startPipeline(log(), new MemoryStore(), { openSink: () => sink, wake });
    const once = poll();
    await until(() => pipeline.parked !== undefined);
    wake.notify();
    await once;
    expect(sink.taken).toEqual([1n, 2n, 3n]);
  });

  it.each([
    ['a bug', new TypeError('no such method')],
    ['another owner', new Fenced('the state belongs to another process')],
  ])('ends if a save fails because of %s, before anything is sent', async (_, error) => {
    class Failing extends MemoryStore {
      override async save(): Promise<void> {
        throw error;
      }
    }
    const sink = new ScriptedSink();
    const { poll } = await startPipeline(log(), new Failing(), { openSink: () => sink });
    await expect(poll()).rejects.toBe(error);
    expect(sink.sends).toEqual([]);
  });

  it('retries a save that fails because the state directory is unusable', async () => {
    let failures = 3;
    class Failing extends MemoryStore {
      override async save(checkpoint: Checkpoint): Promise<void> {
        if (failures-- > 0) throw new StateProblem('the checkpoints directory is not a directory');
        return super.save(checkpoint);
      }
    }
    const store = new Failing();
    const { poll, events } = await startPipeline(log(), store);
    await poll();
    expect(store.last?.after).toBe(3n);
    expect(events.filter(({ event }) => event === 'checkpoint.retry')).toHaveLength(3);
  });

  it('reports a rewritten log in every process until the cursor is set, whatever is delivered meanwhile', async () => {
    const rewritten = log();
    const store = new MemoryStore();
    await (await startPipeline(rewritten, store)).poll();
    rewritten.rows.splice(2, 1, { id: 3, createdAtMs: 0, visibleMs: 0, action: 'other' });
    for (const id of [4, 5]) {
      rewritten.rows.push({ id, createdAtMs: 0, visibleMs: 0 });
      const sink = new ScriptedSink();
      const saved: unknown[] = [];
      sink.answer = ({ records }) => {
        saved.push(store.last?.newest?.id);
        return sink.take(records);
      };
      const { poll, events } = await startPipeline(rewritten, store, { openSink: () => sink });
      await poll();
      expect(events).toContainEqual({ event: 'pipeline.history_check', sink: 'test', id: 3n, result: 'rewritten' });
      expect([sink.taken, saved, store.last?.newest?.id]).toEqual([[BigInt(id)], [3n], 3n]);
    }
  });
});
