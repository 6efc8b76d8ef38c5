import { beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { isAlive, readiness } from '../../src/telemetry/readiness.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { HandClock } from '../support/hand-clock.ts';

const minute = 60_000;
const page = { event: 'source.page', after: 7n, events: 0, newEvents: 0, bytes: 40, serverAheadMs: 0 } as const;
const delivered = { event: 'pipeline.delivered', sink: 'splunk', records: 2, last: 9n, elapsedMs: 5 } as const;
const retry = {
  event: 'pipeline.retry',
  sink: 'splunk',
  reason: 'network',
  detail: 'no',
  attempt: 1,
  waitMs: 1,
} as const;
const sourceRetry = { event: 'source.retry', reason: 'timeout', detail: 'no answer', attempt: 1, waitMs: 1 } as const;

let clock: HandClock;
let health: Health;
const handle = (...events: TelemetryEvent[]) => {
  for (const event of events) health.handle(event);
};
const codes = () => readiness(health).reasons.map(({ code }) => code);
const lag = (name = 'splunk') => {
  const sink = health.sinks.get(name);
  if (sink === undefined) throw new Error('no such sink');
  return health.lagMs(sink);
};
const start = (pollEveryMs = 15_000): TelemetryEvent => ({
  event: 'daemon.start',
  version: '1',
  sinks: ['splunk', 'stdout'],
  pollEveryMs,
  reload: false,
  restarted: ['splunk', 'stdout'],
});

beforeEach(() => {
  clock = new HandClock();
  health = new Health(clock.read);
  handle(start());
});

describe('readiness', () => {
  it('begins with the first good poll', () => {
    expect(codes()).toEqual(['no_poll_yet']);
    handle(page);
    expect(readiness(health)).toEqual({ ready: true, reasons: [] });
  });

  it('ends when the last good poll is older than five minutes', () => {
    handle(page);
    clock.pass(5 * minute);
    expect(codes()).toEqual([]);
    clock.pass(1);
    expect(codes()).toEqual(['poll_too_old']);
  });

  it('allows a rare schedule two of its intervals', () => {
    handle(start(60 * minute), page);
    clock.pass(120 * minute);
    expect(codes()).toEqual([]);
    clock.pass(1);
    expect(codes()).toEqual(['poll_too_old']);
  });

  it('does not depend on changes of the local clock', () => {
    handle(page);
    clock.epochMs += 3_600_000;
    expect(codes()).toEqual([]);
    expect(lag()).toBe(0);
  });

  it('ends at once when the key is rejected, and returns with the next page', () => {
    handle(page, { event: 'source.refused', status: 403, detail: 'no', causes: [] });
    expect(codes()).toEqual(['key_refused']);
    handle({ ...sourceRetry, reason: 'auth' });
    expect(codes()).toEqual(['key_refused']);
    handle(page);
    expect(codes()).toEqual([]);
  });

  it('ends at once when the audit log is no longer found at its address, not when it is only unreachable', () => {
    handle(page, sourceRetry);
    expect(codes()).toEqual([]);
    handle({ ...sourceRetry, reason: 'address' });
    expect(codes()).toEqual(['source_address']);
    handle(page);
    expect(codes()).toEqual([]);
  });

  it('ends at once at an unreadable page, with its cursor as the reason and no text of the page', () => {
    handle(page, { event: 'source.unreadable', after: 41n, detail: 'begins {"id":"secret"' });
    expect(codes()).toEqual(['source_unreadable']);
    expect(JSON.stringify(readiness(health))).toContain('after event 41');
    expect(JSON.stringify(readiness(health))).not.toContain('secret');
    handle(page);
    expect(codes()).toEqual(['source_unreadable']);
    handle({ ...page, after: 41n });
    expect(codes()).toEqual([]);
  });

  it('tolerates a failing sink for five minutes', () => {
    handle(page, retry);
    clock.pass(4 * minute);
    handle(retry, page);
    clock.pass(minute);
    expect(codes()).toEqual([]);
    clock.pass(1);
    expect(readiness(health).reasons).toEqual([
      {
        code: 'sink_failing',
        sink: 'splunk',
        since: '2026-01-01T12:00:00.000Z',
        detail: expect.stringContaining('network'),
      },
    ]);
    handle({ event: 'pipeline.recovered', sink: 'splunk', attempts: 2, outageMs: 1 }, delivered);
    expect(codes()).toEqual([]);
  });

  it('reports a parked sink, although a batch that was sent before is confirmed meanwhile', () => {
    handle(page, { event: 'pipeline.parked', sink: 'splunk', reason: 'auth', detail: 'bad token' });
    clock.pass(5 * minute + 1);
    handle(page, delivered);
    expect(codes()).toEqual(['sink_parked']);
    expect(health.sinks.get('splunk')?.outage?.kind).toBe('parked');
    handle({ event: 'pipeline.unparked', sink: 'splunk', outageMs: 1 });
    expect(codes()).toEqual([]);
  });

  it('ends an outage from before a reload with the first delivery of the new pipeline', () => {
    handle(page, retry, { event: 'pipeline.start', sink: 'splunk', after: 9n, cursor: 9n, from: 'checkpoint' });
    expect(health.sinks.get('splunk')?.outage?.kind).toBe('failing');
    handle(delivered);
    expect(health.sinks.get('splunk')?.outage).toBeUndefined();
  });

  it('treats a sink that accepts and then loses every batch as failing', () => {
    handle(page);
    for (let i = 0; i < 12; i++) {
      handle(retry, page);
      clock.pass(30_000);
    }
    expect(codes()).toEqual(['sink_failing']);
  });

  it('distinguishes a parked sink from a failing one', () => {
    handle({ event: 'pipeline.parked', sink: 'stdout', reason: 'auth', detail: 'bad token' });
    clock.pass(5 * minute + 1);
    handle(page);
    expect(codes()).toEqual(['sink_parked']);
    handle({ event: 'pipeline.unparked', sink: 'stdout', outageMs: 1 });
    expect(codes()).toEqual([]);
  });

  it('ends at once when state cannot be written', () => {
    handle(page, { event: 'checkpoint.retry', sink: 'splunk', detail: 'ENOSPC', attempt: 1, waitMs: 1 });
    expect(codes()).toEqual(['state_not_writable']);
    handle({ event: 'checkpoint.saved', sink: 'splunk', after: 9n, elapsedMs: 1 });
    expect(codes()).toEqual([]);
  });

  it('ends for good when the newest delivered event was replaced, not when it is only missing', () => {
    const newest = { event: 'pipeline.history_check', sink: 'splunk', id: 9n } as const;
    handle(page, { ...newest, result: 'missing' });
    expect(codes()).toEqual([]);
    handle({ ...newest, result: 'rewritten' });
    expect(codes()).toEqual(['log_rewritten']);
    handle(delivered, { ...newest, id: 10n, result: 'unchanged' });
    expect(codes()).toEqual(['log_rewritten']);
  });

  it('clears unreadable pages at a reload, and the oldest unconfirmed event when the next pipeline starts', () => {
    handle(page, { event: 'source.unreadable', after: 41n, detail: 'x' });
    handle({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: clock.epochMs - 5_000 }, start());
    expect(codes()).toEqual([]);
    expect(lag()).toBe(5_000);
    handle({ event: 'pipeline.start', sink: 'splunk', after: 9n, cursor: 9n, from: 'checkpoint' });
    expect(lag()).toBe(0);
  });
});

describe('liveness', () => {
  it('holds while a request is open for less than 15 minutes, and ends after that', () => {
    handle({ event: 'source.request', after: 7n });
    clock.pass(14 * minute);
    expect(isAlive(health)).toBe(true);
    clock.pass(2 * minute);
    expect(isAlive(health)).toBe(false);
    handle({ event: 'source.response', after: 7n, status: 'timeout', elapsedMs: 1 }, sourceRetry);
    clock.pass(60 * minute);
    expect(isAlive(health)).toBe(true);
  });

  it('ignores a request of a source that a reload replaced, even if no pipeline was restarted', () => {
    handle({ event: 'source.request', after: 7n }, { ...start(), reload: true, restarted: [] } as TelemetryEvent);
    clock.pass(60 * minute);
    expect(isAlive(health)).toBe(true);
  });
});

describe('lag', () => {
  it('is the age of the oldest unconfirmed event, by the server’s clock', () => {
    const hour = 60 * minute;
    handle({ ...page, serverAheadMs: hour });
    expect(lag()).toBe(0);
    handle({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: clock.epochMs + hour - 20_000 });
    clock.pass(10_000);
    expect(lag()).toBe(30_000);
    expect(lag('stdout')).toBe(0);
    handle({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: undefined });
    expect(lag()).toBe(0);
  });

  it('grows with the age of the last good poll while polls fail', () => {
    handle(page);
    clock.pass(minute);
    expect(lag()).toBe(0);
    handle(sourceRetry);
    expect(lag()).toBe(minute);
    clock.pass(minute);
    expect(lag('stdout')).toBe(2 * minute);
    handle(page);
    expect(lag()).toBe(0);
  });

  it('counts from the start if no poll succeeded', () => {
    clock.pass(90_000);
    handle(sourceRetry);
    expect(lag()).toBe(90_000);
  });
});

describe('the health of a sink', () => {
  it('does not go back when a late event is delivered', () => {
    handle({ event: 'pipeline.start', sink: 'splunk', after: 5n, cursor: 3n, from: 'checkpoint' }, delivered);
    handle({ ...delivered, last: 6n, records: 1 });
    expect(health.sinks.get('splunk')).toMatchObject({ head: 9n, cursor: 3n, delivered: 3 });
  });

  it('has a rate over the last minute', () => {
    const rate = () => health.sinks.get('splunk')?.rate.perSecond(clock.monotonicMs) ?? -1;
    for (let second = 0; second < 120; second++) {
      handle({ ...delivered, records: 50 });
      clock.pass(1_000);
    }
    expect(rate()).toBeCloseTo(50, 0);
    clock.pass(2 * minute);
    expect(rate()).toBe(0);
  });
});
