import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditEvent, Encoded } from '../../src/event/event.ts';
import { auditEvent } from '../../src/event/event.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import type { Reject, Verdict } from '../../src/lib/verdict.ts';
import { CheckpointWriter } from '../../src/pipeline/checkpoint-writer.ts';
import { DeliveryQueue, type Handover, SinkGone } from '../../src/pipeline/delivery-queue.ts';
import { HighWaterMark } from '../../src/pipeline/high-water-mark.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { MemoryStore } from '../support/pipelines.ts';
import { freeze, ScriptedSink } from '../support/scripted-sink.ts';

const record = (id: number): Encoded => {
  const event = auditEvent({ id: BigInt(id), text: Buffer.from(`{"id":${id}}`), receivedAtMs: 0 });
  return { event, redacted: event, record: event.text };
};
const records = (...ids: number[]) => ids.map(record);
const refuse = (failedIndex?: number): Reject => ({
  kind: 'reject',
  reason: 'malformed',
  detail: 'no',
  ...(failedIndex !== undefined && { failedIndex }),
});
const retry: Verdict = { kind: 'retry', reason: 'server', detail: 'busy' };
const isBad = (bad: readonly bigint[]) => (batch: { records: readonly Encoded[] }) =>
  batch.records.some(({ event }) => bad.includes(event.id));

async function start(sink: ScriptedSink, { onEvent = () => {}, store = new MemoryStore(), handover }: Special = {}) {
  const stop = new AbortController();
  const kill = new AbortController();
  const signals = { graceful: stop.signal, forced: kill.signal };
  const events: TelemetryEvent[] = [];
  const deadLettered: bigint[] = [];
  const emit = (event: TelemetryEvent) => {
    onEvent(event);
    events.push(event);
  };
  const changed = new Notifier();
  const mark = new HighWaterMark(0, 0n);
  const shared = { sink: 'test', emit, random: () => 1, mark, changed };
  const pendingAcks = undefined;
  const checkpoint = new CheckpointWriter({ ...shared, origin: 'https://x', store, pendingAcks, last: undefined });
  const deadLetter = {
    append: async ({ event }: { event: AuditEvent }) => {
      deadLettered.push(event.id);
    },
  };
  const queue = new DeliveryQueue({
    ...{ ...shared, destination: sink, checkpoint, deadLetter },
    ...(handover && { handover }),
  });
  const run = queue.run(signals);
  const offer = async (...batches: readonly Encoded[][]) => {
    const ids = batches.flat().map(({ event }) => event.id);
    const moment = { monotonicMs: 0, serverMs: 0 };
    const page = { after: mark.head, ids, times: new Float64Array(ids.length), asked: moment, answered: moment };
    mark.sift(page, (id) => queue.has(id));
    queue.push(batches);
    mark.conclude(page, queue.first);
    await queue.room(signals);
  };
  const isDone = (check: () => boolean) => vi.waitFor(() => expect(check()).toBe(true), { timeout: 5_000 });
  /** Last ids of the batches, in the order in which they were confirmed. */
  const delivered = () => events.flatMap((event) => (event.event === 'pipeline.delivered' ? [event.last] : []));
  const end = async () => {
    stop.abort();
    await run;
  };
  return { queue, offer, signals, stop, kill, run, end, events, delivered, deadLettered, store, isDone };
}

interface Special {
  readonly onEvent?: (event: TelemetryEvent) => void;
  readonly store?: MemoryStore;
  readonly handover?: Handover;
}

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 20 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a delivery queue', () => {
  it('delivers batches in order and saves each before it sends the next', async () => {
    const sink = new ScriptedSink();
    const { queue, offer, signals, end, store } = await start(sink);
    const saved: number[] = [];
    sink.answer = (batch) => {
      saved.push(store.done().length);
      return sink.take(batch.records);
    };
    for (const batch of [records(1, 2), records(3), records(4, 5)]) await offer(batch);
    await queue.flush(signals);
    await end();
    expect(sink.taken).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(saved).toEqual([0, 2, 3]);
  });

  it('sends a batch until it is accepted, and nothing after it before that', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) => (attempt <= 3 ? retry : sink.take(batch.records));
    const { queue, offer, end, events, isDone } = await start(sink);
    await offer(records(1));
    void offer(records(2));
    await isDone(() => sink.sends.length === 1);
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => queue.isIdle);
    await end();
    expect(sink.sends).toEqual([[1n], [1n], [1n], [1n], [2n]]);
    expect(events.filter(({ event }) => event === 'pipeline.retry')).toHaveLength(3);
    expect(events).toContainEqual(expect.objectContaining({ event: 'pipeline.recovered', attempts: 3 }));
  });

  it('sends what comes back before a later batch that could not be sent meanwhile', async () => {
    const sink = new ScriptedSink(2);
    const lost = Promise.withResolvers<Verdict>();
    sink.answer = (batch, attempt) => {
      if (attempt === 1) return { kind: 'sent', confirmed: lost.promise };
      if (attempt > 2) return sink.take(batch.records);
      lost.resolve(retry);
      return retry;
    };
    const { queue, offer, end, isDone } = await start(sink);
    await offer(records(1));
    await offer(records(2));
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => queue.isIdle);
    await end();
    expect(sink.sends).toEqual([[1n], [2n], [1n], [2n]]);
  });

  it('reports the end of an outage that shows only after sending', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = (batch, attempt) => ({
      kind: 'sent',
      confirmed: Promise.resolve(attempt <= 2 ? retry : sink.take(batch.records)),
    });
    const { queue, offer, end, events, isDone } = await start(sink);
    await offer(records(1));
    await isDone(() => sink.sends.length === 2);
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => queue.isIdle);
    await end();
    expect(events.map(({ event }) => event).filter((event) => /retry|recovered/.test(event))).toEqual([
      'pipeline.retry',
      'pipeline.retry',
      'pipeline.recovered',
    ]);
    expect(queue.lastError).toBeUndefined();
  });

  it('reports when the oldest unconfirmed event was created', async () => {
    const confirm: (() => void)[] = [];
    const sink = new ScriptedSink(2);
    sink.answer = (batch) => ({
      kind: 'sent',
      confirmed: new Promise((resolve) => confirm.push(() => resolve(sink.take(batch.records)))),
    });
    const { queue, offer, end, events, isDone } = await start(sink);
    const created = (id: number, at: string): Encoded => {
      const { event, ...rest } = record(id);
      return { ...rest, event: { ...event, createdAtMs: Date.parse(at) } };
    };
    await offer([created(1, '2026-01-01T00:00:01Z')]);
    await offer([created(2, '2026-01-01T00:00:02Z')]);
    await isDone(() => confirm.length === 2);
    confirm[1]?.();
    await isDone(() => events.some(({ event }) => event === 'pipeline.delivered'));
    confirm[0]?.();
    await isDone(() => queue.isIdle);
    await end();
    const first = Date.UTC(2026, 0, 1, 0, 0, 1);
    const oldest = events.flatMap((event) => (event.event === 'pipeline.waiting' ? [event.oldestAtMs] : []));
    expect(oldest).toEqual([first, first, undefined]);
  });

  it.each([
    ['named by the destination', 2],
    ['named wrongly', 0],
    ['named out of range', 99],
    ['not named', undefined],
  ])('delivers all but the rejected record, once each and in order, if it is %s', async (_, failedIndex) => {
    const sink = new ScriptedSink();
    const bad = isBad([3n]);
    sink.answer = (batch) =>
      bad(batch) ? refuse(batch.records.length > 1 ? failedIndex : undefined) : sink.take(batch.records);
    const { queue, offer, signals, end, deadLettered, store } = await start(sink);
    await offer(records(1, 2, 3, 4, 5, 6, 7));
    await queue.flush(signals);
    await end();
    expect(deadLettered).toEqual([3n]);
    expect(sink.taken).toEqual([1n, 2n, 4n, 5n, 6n, 7n]);
    expect(store.done()).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  });

  it('sends only the rest of a batch that was accepted in part', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) => {
      if (attempt > 1) return sink.take(batch.records);
      sink.take(batch.records.slice(0, 2));
      return { kind: 'retry', reason: 'network', detail: 'cut', acceptedPrefix: 2 };
    };
    const { queue, offer, signals, end } = await start(sink);
    await offer(records(1, 2, 3, 4));
    await queue.flush(signals);
    await end();
    expect(sink.sends).toEqual([
      [1n, 2n, 3n, 4n],
      [3n, 4n],
    ]);
    expect(sink.taken).toEqual([1n, 2n, 3n, 4n]);
  });

  it('asks the sink to confirm again after a batch was handed back and sent again', async () => {
    const sink = new ScriptedSink(2);
    const finishing: (() => void)[] = [];
    sink.answer = (batch, attempt) => {
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      const lost: Verdict = { kind: 'retry', reason: 'network', detail: 'the collector stopped' };
      finishing.push(() => resolve(attempt > 1 ? sink.take(batch.records) : lost));
      return { kind: 'sent', confirmed: promise };
    };
    sink.finish = async () => {
      for (const confirm of finishing.splice(0)) confirm();
    };
    const { queue, offer, signals, end } = await start(sink);
    await offer(records(1));
    await queue.flush(signals);
    await end();
    expect(sink.taken).toEqual([1n]);
  });

  it('keeps at most a window of unconfirmed batches, and sends what comes back before anything new', async () => {
    const sink = new ScriptedSink(2);
    const confirm: ((verdict: Verdict) => void)[] = [];
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise((resolve) => confirm.push(resolve)) });
    const { queue, offer, end, delivered, isDone } = await start(sink);
    await offer(records(1));
    await offer(records(2));
    void offer(records(3));
    await isDone(() => sink.sends.length === 2);
    confirm[0]?.(retry);
    await isDone(() => sink.sends.length === 3);
    confirm[1]?.({ kind: 'accepted' });
    await isDone(() => sink.sends.length === 4);
    confirm[2]?.({ kind: 'accepted' });
    confirm[3]?.({ kind: 'accepted' });
    await isDone(() => queue.isIdle);
    await end();
    expect(sink.sends).toEqual([[1n], [2n], [1n], [3n]]);
    expect(delivered()).toEqual([2n, 1n, 3n]);
  });

  it('waits longer between attempts when a destination takes and loses every batch', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = () => ({ kind: 'sent', confirmed: Promise.resolve(retry) });
    const { offer, end } = await start(sink);
    await offer(records(1));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sink.sends.length).toBeLessThan(12);
    expect(sink.sends.length).toBeGreaterThan(4);
    await end();
  });

  it('parks when the destination rejects the sink, tries every minute, and dead-letters nothing', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt <= 2 ? { kind: 'stop', reason: 'auth', detail: 'token' } : sink.take(batch.records);
    const { queue, offer, end, events, deadLettered, isDone } = await start(sink);
    await offer(records(1));
    await isDone(() => queue.parked !== undefined);
    await vi.advanceTimersByTimeAsync(55_000);
    expect(sink.sends).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(70_000);
    await isDone(() => queue.isIdle);
    expect(queue.parked).toBeUndefined();
    await end();
    expect(deadLettered).toEqual([]);
    expect(events.map(({ event }) => event)).toContain('pipeline.unparked');
  });

  it('tries at once on request', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt <= 1 ? { kind: 'stop', reason: 'auth', detail: 'token' } : sink.take(batch.records);
    const { queue, offer, end, isDone } = await start(sink);
    await offer(records(1));
    await isDone(() => queue.parked !== undefined);
    queue.retryNow();
    await isDone(() => queue.isIdle);
    await end();
  });

  it('dead-letters nothing more after 100 rejections in a row, until one is accepted', async () => {
    const sink = new ScriptedSink();
    let healed = false;
    sink.answer = (batch) => (healed ? sink.take(batch.records) : refuse());
    const { offer, end, events, deadLettered, isDone } = await start(sink);
    const ids = Array.from({ length: 120 }, (_, i) => i + 1);
    void (async () => {
      for (let i = 0; i < ids.length; i += 10) await offer(records(...ids.slice(i, i + 10)));
    })();
    await isDone(() => events.some(({ event }) => event === 'pipeline.breaker'));
    expect(deadLettered).toHaveLength(100);
    const before = sink.sends.length;
    await vi.advanceTimersByTimeAsync(61_000);
    expect(sink.sends.length).toBeGreaterThan(before);
    expect(sink.sends.at(-1)).toEqual([101n]);
    expect(deadLettered).toHaveLength(100);
    healed = true;
    await vi.advanceTimersByTimeAsync(61_000);
    await isDone(() => sink.taken.length === 20);
    await end();
    expect(deadLettered).toHaveLength(100);
    expect(sink.taken).toEqual(ids.slice(100).map(BigInt));
  });

  it('books confirmations that arrive while it stops, and sends nothing new', async () => {
    const sink = new ScriptedSink(3);
    const confirm: ((verdict: Verdict) => void)[] = [];
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise((resolve) => confirm.push(resolve)) });
    const { offer, stop, run, delivered, store, isDone } = await start(sink);
    await offer(records(1));
    await offer(records(2));
    await isDone(() => sink.sends.length === 2);
    stop.abort();
    void offer(records(3));
    await isDone(() => sink.finished > 0);
    confirm[0]?.({ kind: 'accepted' });
    confirm[1]?.(retry);
    await run;
    expect(sink.sends).toEqual([[1n], [2n]]);
    expect(delivered()).toEqual([1n]);
    expect(store.last?.after).toBe(1n);
  });

  it.each([
    ['while it waits for confirmations', true],
    ['during a send', false],
  ])('books what the sink still hears after a forced stop %s', async (_, isWaiting) => {
    const sink = new ScriptedSink(3);
    const { promise: confirmed, resolve: confirm } = Promise.withResolvers<Verdict>();
    sink.answer = (_, attempt, kill) => (attempt === 1 ? { kind: 'sent', confirmed } : freeze(kill));
    sink.finish = async (kill?: AbortSignal) => {
      if (kill?.aborted === false) await new Promise((resolve) => kill.addEventListener('abort', resolve));
      confirm({ kind: 'accepted' });
    };
    const { offer, stop, kill, run, delivered, store, isDone } = await start(sink);
    await offer(records(1));
    if (!isWaiting) void offer(records(2));
    await isDone(() => sink.sends.length === (isWaiting ? 1 : 2));
    stop.abort();
    kill.abort(new Error('enough'));
    await Promise.allSettled([run]);
    expect(delivered()).toEqual([1n]);
    expect(store.last?.after).toBe(1n);
  });

  it('books the confirmation of a resumed batch that the sink hears at a stop', async () => {
    const sink = new ScriptedSink();
    const { promise: confirmed, resolve: confirm } = Promise.withResolvers<Verdict>();
    sink.resumed = [{ ranges: [[1n, 2n]], confirmed }];
    sink.finish = async () => confirm({ kind: 'accepted' });
    const { end, store } = await start(sink);
    await end();
    expect(store.last?.delivered).toEqual([[1n, 2n]]);
  });

  it('ends with the batch undelivered after a forced stop', async () => {
    const sink = new ScriptedSink(3);
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise(() => {}) });
    const { offer, stop, kill, run, delivered, isDone } = await start(sink);
    await offer(records(1));
    await isDone(() => sink.sends.length === 1);
    stop.abort();
    kill.abort();
    await run;
    expect(delivered()).toEqual([]);
  });

  it('saves what was confirmed beside a sending that is aborted', async () => {
    const sink = new ScriptedSink(2);
    let confirm: (verdict: Verdict) => void = () => {};
    sink.answer = (_, attempt, kill) =>
      attempt === 1 ? { kind: 'sent', confirmed: new Promise((resolve) => (confirm = resolve)) } : freeze(kill);
    const { offer, stop, kill, run, delivered, store, isDone } = await start(sink);
    await offer(records(1));
    void offer(records(2));
    await isDone(() => sink.sends.length === 2);
    confirm({ kind: 'accepted' });
    await isDone(() => delivered().length === 1);
    stop.abort();
    kill.abort(new Error('out of time'));
    await expect(run).rejects.toThrow('out of time');
    expect(store.last?.after).toBe(1n);
  });

  it('ends the run if booking a late confirmation throws, and does not send the batch again', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = () => ({ kind: 'sent', confirmed: Promise.resolve({ kind: 'accepted' }) });
    const onEvent = ({ event }: TelemetryEvent) => {
      if (event === 'pipeline.delivered') throw new TypeError('a bug');
    };
    const { offer, run } = await start(sink, { onEvent });
    void offer(records(1));
    await expect(run).rejects.toThrow('a bug');
    expect(sink.sends).toEqual([[1n]]);
  });

  it('ends the run if a late verdict is a permanent stop', async () => {
    const sink = new ScriptedSink(2);
    const confirmed = Promise.resolve<Verdict>({ kind: 'stop', reason: 'network', detail: 'closed', permanent: true });
    sink.answer = () => ({ kind: 'sent', confirmed });
    const { offer, run, events } = await start(sink);
    void offer(records(1));
    await expect(run).rejects.toBeInstanceOf(SinkGone);
    expect(sink.sends).toEqual([[1n]]);
    expect(events.map(({ event }) => event)).toContain('pipeline.failed');
  });

  it('books every record that a verdict names as accepted, and sends only the others again', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) => {
      if (attempt > 1) return isBad([4n])(batch) ? refuse() : sink.take(batch.records);
      sink.take(batch.records.filter(({ event }) => event.id !== 4n && event.id !== 6n));
      return { ...refuse(3), acceptedPrefix: 2, acceptedIndexes: [2, 4] };
    };
    const { queue, offer, signals, end, deadLettered, store } = await start(sink);
    await offer(records(1, 2, 3, 4, 5, 6));
    await queue.flush(signals);
    await end();
    expect(sink.sends).toEqual([[1n, 2n, 3n, 4n, 5n, 6n], [4n], [6n]]);
    expect(deadLettered).toEqual([4n]);
    expect(store.done()).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
  });

  it.each<Verdict['kind']>(['retry', 'stop', 'reject'])(
    'sends nothing again if a %s names every record as accepted',
    async (kind) => {
      const sink = new ScriptedSink();
      sink.answer = () => ({ kind, reason: 'network', detail: 'cut', acceptedIndexes: [1, 0] }) as Verdict;
      const { queue, offer, signals, end, store } = await start(sink);
      await offer(records(1, 2));
      await queue.flush(signals);
      await end();
      expect(sink.sends).toEqual([[1n, 2n]]);
      expect(store.done()).toEqual([1n, 2n]);
    },
  );

  it('sends half as many records after a verdict that asks for less, down to one, and more again after successes', async () => {
    const sink = new ScriptedSink();
    let most = 1;
    sink.answer = (batch) =>
      batch.records.length > most ? { ...retry, reason: 'timeout', narrow: true } : sink.take(batch.records);
    const { queue, offer, end, isDone } = await start(sink);
    void offer(records(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
    await isDone(() => sink.sends.length === 1);
    await vi.advanceTimersByTimeAsync(10_000);
    await isDone(() => sink.taken.length > 0);
    expect(sink.sends.slice(0, 4).map(({ length }) => length)).toEqual([10, 5, 2, 1]);
    most = 10;
    await vi.advanceTimersByTimeAsync(10_000);
    await isDone(() => queue.isIdle);
    for (const from of [11, 21]) {
      await offer(records(...Array.from({ length: 10 }, (_, index) => from + index)));
      await isDone(() => queue.isIdle);
    }
    await end();
    expect(sink.taken).toEqual(Array.from({ length: 30 }, (_, index) => BigInt(index + 1)));
    expect(sink.sends.at(-1)).toHaveLength(10);
  });

  it('makes progress with a destination that fails after every 7 records and confirms nothing of them', async () => {
    const sink = new ScriptedSink(32);
    let sent = 0;
    const unconfirmed: { batch: readonly Encoded[]; resolve: (verdict: Verdict) => void }[] = [];
    sink.answer = ({ records }) => {
      sent += records.length;
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      unconfirmed.push({ batch: records, resolve });
      if (sent > 7) {
        sent = 0;
        for (const { resolve } of unconfirmed.splice(0)) resolve(retry);
      }
      return { kind: 'sent', confirmed: promise };
    };
    // A half-close: what was taken until now is confirmed, and the next connection starts over.
    sink.finish = async () => {
      sent = 0;
      for (const { batch, resolve } of unconfirmed.splice(0)) resolve(sink.take(batch));
    };
    const { queue, offer, signals, end } = await start(sink);
    const ids = Array.from({ length: 30 }, (_, index) => index + 1);
    const batches = [0, 10, 20].map((from) => records(...ids.slice(from, from + 10)));
    void offer(...batches);
    const flushed = queue.flush(signals);
    await vi.advanceTimersByTimeAsync(600_000);
    await flushed;
    await end();
    expect(sink.taken).toEqual(ids.map(BigInt));
    expect(sink.sends.flat().length).toBeLessThan(30 * 6);
  });

  it('saves what is confirmed while a later batch is retried, before its next attempt', async () => {
    const sink = new ScriptedSink(2);
    const first = Promise.withResolvers<Verdict>();
    sink.answer = (_, attempt) => (attempt === 1 ? { kind: 'sent', confirmed: first.promise } : retry);
    const { offer, end, store, isDone } = await start(sink);
    await offer(records(1));
    await offer(records(2));
    await isDone(() => sink.sends.length === 2);
    first.resolve({ kind: 'accepted' });
    await isDone(() => store.last?.after === 1n);
    expect(sink.sends).toHaveLength(2);
    await end();
  });

  it('saves what is confirmed while the sending of a later batch takes long', async () => {
    const sink = new ScriptedSink(2);
    const first = Promise.withResolvers<Verdict>();
    sink.answer = (_, attempt, kill) => (attempt === 1 ? { kind: 'sent', confirmed: first.promise } : freeze(kill));
    const { offer, stop, kill, run, store, isDone } = await start(sink);
    await offer(records(1));
    await offer(records(2));
    await isDone(() => sink.sends.length === 2);
    first.resolve({ kind: 'accepted' });
    await isDone(() => store.last?.after === 1n);
    stop.abort();
    kill.abort(new Error('out of time'));
    await expect(run).rejects.toThrow('out of time');
  });

  it('stays parked when a batch from before is confirmed', async () => {
    const sink = new ScriptedSink(4);
    const older: ((verdict: Verdict) => void)[] = [];
    sink.answer = (batch, attempt) => {
      if (attempt > 3) return sink.take(batch.records);
      if (attempt === 3) return { kind: 'stop', reason: 'auth', detail: 'wrong index' };
      return { kind: 'sent', confirmed: new Promise((resolve) => older.push(resolve)) };
    };
    const { queue, offer, end, events, isDone } = await start(sink);
    for (const id of [1, 2, 3]) await offer(records(id));
    await isDone(() => queue.parked !== undefined);
    for (const confirm of older) confirm({ kind: 'accepted' });
    await isDone(() => events.filter(({ event }) => event === 'pipeline.delivered').length === 2);
    expect([queue.parked?.detail, queue.lastError]).toEqual(['wrong index', 'wrong index']);
    expect(events.map(({ event }) => event)).not.toContain('pipeline.unparked');
    await vi.advanceTimersByTimeAsync(61_000);
    await isDone(() => queue.isIdle);
    expect([queue.parked, queue.lastError]).toEqual([undefined, undefined]);
    await end();
  });

  it('has no room while unconfirmed batches keep several large pages in memory', async () => {
    const sink = new ScriptedSink(8);
    const confirm: (() => void)[] = [];
    sink.answer = ({ records }) => ({
      kind: 'sent',
      confirmed: new Promise((resolve) => confirm.push(() => resolve(sink.take(records)))),
    });
    const onPage = (id: number): Encoded => {
      const page = Buffer.alloc(40 * 1024 ** 2);
      const one = record(id);
      const event = { ...one.event, text: page.subarray(0, 8) };
      return { event, redacted: event, record: event.text };
    };
    const { queue, offer, end, isDone } = await start(sink);
    await offer([onPage(1)]);
    let hasRoom = false;
    void offer([onPage(2)]).then(() => {
      hasRoom = true;
    });
    await isDone(() => sink.sends.length === 2);
    expect(hasRoom).toBe(false);
    confirm[0]?.();
    await isDone(() => hasRoom);
    confirm[1]?.();
    await isDone(() => queue.isIdle);
    await end();
  });

  describe('that a successor replaces', () => {
    it('hands over what is being sent', async () => {
      const sink = new ScriptedSink();
      const answer = Promise.withResolvers<Verdict>();
      sink.answer = () => answer.promise;
      const replaced = new AbortController();
      const { queue, offer, end, isDone } = await start(sink, { handover: { replaced: replaced.signal } });
      await offer(records(1, 2));
      await isDone(() => sink.sends.length === 1);
      replaced.abort();
      await end();
      expect(queue.handedOver.map(({ ranges }) => ranges)).toEqual([[[1n, 2n]]]);
      answer.resolve({ kind: 'accepted' });
    });

    it('passes on at once what it inherited if it was replaced before it was created', async () => {
      const confirmed = Promise.withResolvers<Verdict>();
      const inherited = [{ ranges: [[1n, 2n]], confirmed: confirmed.promise }] as const;
      const handover = { inherited, replaced: AbortSignal.abort(), ackGraceMs: () => 3_600_000 };
      const { queue, end } = await start(new ScriptedSink(), { handover });
      await end();
      expect(queue.handedOver).toEqual(inherited);
    });

    it('does not wait until a batch is confirmed that is sent alone after losses', async () => {
      const sink = new ScriptedSink(4);
      const lost: Verdict = { kind: 'retry', reason: 'network', detail: 'lost' };
      const never = new Promise<Verdict>(() => {});
      sink.answer = (_, attempt) => ({ kind: 'sent', confirmed: attempt <= 3 ? Promise.resolve(lost) : never });
      const replaced = new AbortController();
      const { queue, offer, end, isDone } = await start(sink, { handover: { replaced: replaced.signal } });
      sink.finish = async () => {
        if (sink.sends.length > 3) await never;
      };
      await offer(records(1, 2));
      await isDone(() => sink.sends.length === 4);
      replaced.abort();
      await end();
      expect(queue.handedOver.map(({ ranges }) => ranges)).toEqual([[[1n, 1n]]]);
    });
  });
});
