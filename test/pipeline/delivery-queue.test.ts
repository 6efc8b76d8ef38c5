import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Encoded } from '../../src/event/event.ts';
import { auditEvent } from '../../src/event/event.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import type { Reject, Verdict } from '../../src/lib/verdict.ts';
import { DeliveryQueue } from '../../src/pipeline/delivery-queue.ts';
import { SinkGone } from '../../src/pipeline/sink-gone.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { freeze, ScriptedSink } from '../support/fake-sink.ts';

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

function lane(sink: ScriptedSink, booked: (records: readonly Encoded[]) => void = () => {}) {
  const stop = new AbortController();
  const kill = new AbortController();
  const signals = { graceful: stop.signal, forced: kill.signal };
  const happenings: TelemetryEvent[] = [];
  const delivered: bigint[] = [];
  const aside: bigint[] = [];
  const saves: number[] = [];
  let dirty = false;
  let refusedInRow = 0;
  const built = new DeliveryQueue({
    name: 'test',
    sink,
    emit: (h) => happenings.push(h),
    random: () => 1,
    wake: new Notifier(),
    delivered: (records) => {
      booked(records);
      delivered.push(...records.map(({ event }) => event.id));
      refusedInRow = 0;
      dirty = true;
    },
    setAside: async ({ event }) => {
      aside.push(event.id);
      refusedInRow += 1;
      dirty = true;
    },
    dirty: () => dirty,
    commit: async () => {
      dirty = false;
      saves.push(delivered.length);
    },
    sent: () => {},
    refusedInRow: () => refusedInRow,
  });
  const run = built.run(signals);
  const isDone = async (check: () => boolean) => {
    await vi.waitFor(() => expect(check()).toBe(true), { timeout: 5_000 });
  };
  return { built, signals, stop, kill, run, happenings, delivered, aside, saves, isDone };
}

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 20 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a lane', () => {
  it('delivers batches in order and saves each before it sends the next', async () => {
    const sink = new ScriptedSink();
    const { built, signals, stop, run, saves } = lane(sink);
    for (const batch of [records(1, 2), records(3), records(4, 5)]) await built.offer(batch, signals);
    await built.flush(signals);
    stop.abort();
    await run;
    expect(sink.taken).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(saves).toEqual([2, 3, 5]);
  });

  it('sends a batch again until it is taken, and nothing behind it before', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) => (attempt <= 3 ? retry : sink.take(batch.records));
    const { built, signals, stop, run, happenings, isDone } = lane(sink);
    await built.offer(records(1), signals);
    void built.offer(records(2), signals);
    await isDone(() => sink.sends.length === 1);
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
    expect(sink.sends).toEqual([[1n], [1n], [1n], [1n], [2n]]);
    expect(happenings.filter(({ event }) => event === 'pipeline.retry')).toHaveLength(3);
    expect(happenings).toContainEqual(expect.objectContaining({ event: 'pipeline.recovered', attempts: 3 }));
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
    const { built, signals, stop, run, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await built.offer(records(2), signals);
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
    expect(sink.sends).toEqual([[1n], [2n], [1n], [2n]]);
  });

  it('tells the end of an outage that shows only after the sending', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = (batch, attempt) => ({
      kind: 'sent',
      confirmed: Promise.resolve(attempt <= 2 ? retry : sink.take(batch.records)),
    });
    const { built, signals, stop, run, happenings, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await isDone(() => sink.sends.length === 2);
    await vi.advanceTimersByTimeAsync(20_000);
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
    expect(happenings.map(({ event }) => event).filter((event) => /retry|recovered/.test(event))).toEqual([
      'pipeline.retry',
      'pipeline.retry',
      'pipeline.recovered',
    ]);
    expect(built.trouble).toBeUndefined();
  });

  it('tells when the oldest event that waits for its confirmation was created', async () => {
    const confirm: (() => void)[] = [];
    const sink = new ScriptedSink(2);
    sink.answer = (batch) => ({
      kind: 'sent',
      confirmed: new Promise((resolve) => confirm.push(() => resolve(sink.take(batch.records)))),
    });
    const { built, signals, stop, run, happenings, isDone } = lane(sink);
    const created = (id: number, at: string): Encoded => {
      const { event, ...rest } = record(id);
      return { ...rest, event: { ...event, createdAtMs: Date.parse(at) } };
    };
    await built.offer([created(1, '2026-01-01T00:00:01Z')], signals);
    await built.offer([created(2, '2026-01-01T00:00:02Z')], signals);
    await isDone(() => confirm.length === 2);
    confirm[1]?.();
    await isDone(() => happenings.some(({ event }) => event === 'pipeline.delivered'));
    confirm[0]?.();
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
    const first = Date.UTC(2026, 0, 1, 0, 0, 1);
    const oldest = happenings.flatMap((h) => (h.event === 'pipeline.waiting' ? [h.oldestAtMs] : []));
    expect(oldest).toEqual([first, first, undefined]);
  });

  it.each([
    ['named by the far side', 2],
    ['named wrongly', 0],
    ['named out of range', 99],
    ['not named', undefined],
  ])('delivers all but the poison record, once each and in order, when it is %s', async (_, failedIndex) => {
    const sink = new ScriptedSink();
    const bad = isBad([3n]);
    sink.answer = (batch) =>
      bad(batch) ? refuse(batch.records.length > 1 ? failedIndex : undefined) : sink.take(batch.records);
    const { built, signals, stop, run, aside, delivered } = lane(sink);
    await built.offer(records(1, 2, 3, 4, 5, 6, 7), signals);
    await built.flush(signals);
    stop.abort();
    await run;
    expect(aside).toEqual([3n]);
    expect(sink.taken).toEqual([1n, 2n, 4n, 5n, 6n, 7n]);
    expect(delivered).toEqual(sink.taken);
  });

  it('sends only what was not taken when a batch went through in part', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) => {
      if (attempt > 1) return sink.take(batch.records);
      sink.take(batch.records.slice(0, 2));
      return { kind: 'retry', reason: 'network', detail: 'cut', acceptedPrefix: 2 };
    };
    const { built, signals, stop, run } = lane(sink);
    await built.offer(records(1, 2, 3, 4), signals);
    await built.flush(signals);
    stop.abort();
    await run;
    expect(sink.sends).toEqual([
      [1n, 2n, 3n, 4n],
      [3n, 4n],
    ]);
    expect(sink.taken).toEqual([1n, 2n, 3n, 4n]);
  });

  it('keeps at most a window of unconfirmed batches, and sends what comes back before anything new', async () => {
    const sink = new ScriptedSink(2);
    const confirm: ((verdict: Verdict) => void)[] = [];
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise((resolve) => confirm.push(resolve)) });
    const { built, signals, stop, run, delivered, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await built.offer(records(2), signals);
    void built.offer(records(3), signals);
    await isDone(() => sink.sends.length === 2);
    confirm[0]?.(retry);
    await isDone(() => sink.sends.length === 3);
    confirm[1]?.({ kind: 'accepted' });
    await isDone(() => sink.sends.length === 4);
    confirm[2]?.({ kind: 'accepted' });
    confirm[3]?.({ kind: 'accepted' });
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
    expect(sink.sends).toEqual([[1n], [2n], [1n], [3n]]);
    expect(delivered).toEqual([2n, 1n, 3n]);
  });

  it('does not hammer a far side that takes and loses every batch', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = () => ({ kind: 'sent', confirmed: Promise.resolve(retry) });
    const { built, signals, stop, run } = lane(sink);
    await built.offer(records(1), signals);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sink.sends.length).toBeLessThan(12);
    expect(sink.sends.length).toBeGreaterThan(4);
    stop.abort();
    await run;
  });

  it('parks when the far side refuses us, tries again every minute, and sets nothing aside', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt <= 2 ? { kind: 'stop', reason: 'auth', detail: 'token' } : sink.take(batch.records);
    const { built, signals, stop, run, aside, happenings, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await isDone(() => built.parked !== undefined);
    await vi.advanceTimersByTimeAsync(55_000);
    expect(sink.sends).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(70_000);
    await isDone(() => built.isIdle);
    expect(built.parked).toBeUndefined();
    stop.abort();
    await run;
    expect(aside).toEqual([]);
    expect(happenings.map(({ event }) => event)).toContain('pipeline.unparked');
  });

  it('tries at once when a person asks for it', async () => {
    const sink = new ScriptedSink();
    sink.answer = (batch, attempt) =>
      attempt <= 1 ? { kind: 'stop', reason: 'auth', detail: 'token' } : sink.take(batch.records);
    const { built, signals, stop, run, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await isDone(() => built.parked !== undefined);
    built.retryNow();
    await isDone(() => built.isIdle);
    stop.abort();
    await run;
  });

  it('takes the fault for its own after 100 refusals in a row, sets nothing more aside, and goes on after an acceptance', async () => {
    const sink = new ScriptedSink();
    let healed = false;
    sink.answer = (batch) => (healed ? sink.take(batch.records) : refuse());
    const { built, signals, stop, run, aside, isDone, happenings } = lane(sink);
    const ids = Array.from({ length: 120 }, (_, i) => i + 1);
    void (async () => {
      for (let i = 0; i < ids.length; i += 10) await built.offer(records(...ids.slice(i, i + 10)), signals);
    })();
    await isDone(() => happenings.some(({ event }) => event === 'pipeline.breaker'));
    expect(aside).toHaveLength(100);
    const before = sink.sends.length;
    await vi.advanceTimersByTimeAsync(61_000);
    expect(sink.sends.length).toBeGreaterThan(before);
    expect(sink.sends.at(-1)).toEqual([101n]);
    expect(aside).toHaveLength(100);
    healed = true;
    await vi.advanceTimersByTimeAsync(61_000);
    await isDone(() => sink.taken.length === 20);
    stop.abort();
    await run;
    expect(aside).toHaveLength(100);
    expect(sink.taken).toEqual(ids.slice(100).map(BigInt));
  });

  it('keeps every confirmation that comes while stopping, and begins nothing new', async () => {
    const sink = new ScriptedSink(3);
    const confirm: ((verdict: Verdict) => void)[] = [];
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise((resolve) => confirm.push(resolve)) });
    const { built, signals, stop, run, delivered, saves, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await built.offer(records(2), signals);
    await isDone(() => sink.sends.length === 2);
    stop.abort();
    void built.offer(records(3), signals);
    await isDone(() => sink.finished > 0);
    confirm[0]?.({ kind: 'accepted' });
    confirm[1]?.(retry);
    await run;
    expect(sink.sends).toEqual([[1n], [2n]]);
    expect(delivered).toEqual([1n]);
    expect(saves.at(-1)).toBe(1);
  });

  it('ends with the batch undelivered when it is killed', async () => {
    const sink = new ScriptedSink(3);
    sink.answer = () => ({ kind: 'sent', confirmed: new Promise(() => {}) });
    const { built, signals, stop, kill, run, delivered, isDone } = lane(sink);
    await built.offer(records(1), signals);
    await isDone(() => sink.sends.length === 1);
    stop.abort();
    kill.abort();
    await run;
    expect(delivered).toEqual([]);
  });

  it('saves what was confirmed beside a sending that is cut short', async () => {
    const sink = new ScriptedSink(2);
    let confirm: (verdict: Verdict) => void = () => {};
    sink.answer = (_, attempt, kill) =>
      attempt === 1 ? { kind: 'sent', confirmed: new Promise((resolve) => (confirm = resolve)) } : freeze(kill);
    const { built, signals, stop, kill, run, delivered, saves, isDone } = lane(sink);
    await built.offer(records(1), signals);
    void built.offer(records(2), signals);
    await isDone(() => sink.sends.length === 2);
    confirm({ kind: 'accepted' });
    await isDone(() => delivered.length === 1);
    stop.abort();
    kill.abort(new Error('out of time'));
    await expect(run).rejects.toThrow('out of time');
    expect(saves).toEqual([1]);
  });

  it('ends the run when booking a late confirmation throws, and does not send the batch again', async () => {
    const sink = new ScriptedSink(2);
    sink.answer = () => ({ kind: 'sent', confirmed: Promise.resolve({ kind: 'accepted' }) });
    const { built, signals, run } = lane(sink, () => {
      throw new TypeError('a bug');
    });
    void built.offer(records(1), signals);
    await expect(run).rejects.toThrow('a bug');
    expect(sink.sends).toEqual([[1n]]);
  });

  it('ends the run when a batch that was sent meets a permanent stop', async () => {
    const sink = new ScriptedSink(2);
    const confirmed = Promise.resolve<Verdict>({ kind: 'stop', reason: 'network', detail: 'closed', permanent: true });
    sink.answer = () => ({ kind: 'sent', confirmed });
    const { built, signals, run, happenings } = lane(sink);
    void built.offer(records(1), signals);
    await expect(run).rejects.toBeInstanceOf(SinkGone);
    expect(sink.sends).toEqual([[1n]]);
    expect(happenings.map(({ event }) => event)).toContain('pipeline.failed');
  });
});
