import { beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { isAlive, readiness } from '../../src/telemetry/readiness.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { HandClock } from '../support/hand-clock.ts';

const minute = 60_000;
const page = { event: 'source.page', after: 7n, events: 0, fresh: 0, bytes: 40, serverAheadMs: 0 } as const;
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
const tell = (...happenings: TelemetryEvent[]) => {
  for (const happening of happenings) health.handle(happening);
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
  tell(start());
});

describe('readiness', () => {
  it('waits for the first good poll', () => {
    expect(codes()).toEqual(['no_poll_yet']);
    tell(page);
    expect(readiness(health)).toEqual({ ready: true, reasons: [] });
  });

  it('ends when the last good poll is older than five minutes', () => {
    tell(page);
    clock.pass(5 * minute);
    expect(codes()).toEqual([]);
    clock.pass(1);
    expect(codes()).toEqual(['poll_too_old']);
  });

  it('gives a rare schedule two of its intervals', () => {
    tell(start(60 * minute), page);
    clock.pass(120 * minute);
    expect(codes()).toEqual([]);
    clock.pass(1);
    expect(codes()).toEqual(['poll_too_old']);
  });

  it('is not moved by a local clock that is set', () => {
    tell(page);
    clock.epochMs += 3_600_000;
    expect(codes()).toEqual([]);
    expect(lag()).toBe(0);
  });

  it('ends at once when the key is refused, and comes back with the next page', () => {
    tell(page, { event: 'source.refused', status: 403, detail: 'no', causes: [] });
    expect(codes()).toEqual(['key_refused']);
    tell({ ...sourceRetry, reason: 'auth' });
    expect(codes()).toEqual(['key_refused']);
    tell(page);
    expect(codes()).toEqual([]);
  });

  it('ends at once when the audit log is gone from its address, not when it is only unreachable', () => {
    tell(page, sourceRetry);
    expect(codes()).toEqual([]);
    tell({ ...sourceRetry, reason: 'address' });
    expect(codes()).toEqual(['source_address']);
    tell(page);
    expect(codes()).toEqual([]);
  });

  it('ends at once at a page that cannot be read, names its cursor, and quotes nothing of it', () => {
    tell(page, { event: 'source.unreadable', after: 41n, detail: 'begins {"id":"secret"' });
    expect(codes()).toEqual(['source_unreadable']);
    expect(JSON.stringify(readiness(health))).toContain('after 41');
    expect(JSON.stringify(readiness(health))).not.toContain('secret');
    tell(page);
    expect(codes()).toEqual(['source_unreadable']);
    tell({ ...page, after: 41n });
    expect(codes()).toEqual([]);
  });

  it('bears a sink that fails for five minutes', () => {
    tell(page, retry);
    clock.pass(4 * minute);
    tell(retry, page);
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
    tell(delivered);
    expect(codes()).toEqual([]);
  });

  it('takes a sink that accepts and then loses every batch for one that fails', () => {
    tell(page);
    for (let i = 0; i < 12; i++) {
      tell(retry, page);
      clock.pass(30_000);
    }
    expect(codes()).toEqual(['sink_failing']);
  });

  it('tells a parked sink from one that fails', () => {
    tell({ event: 'pipeline.parked', sink: 'stdout', reason: 'auth', detail: 'bad token' });
    clock.pass(5 * minute + 1);
    tell(page);
    expect(codes()).toEqual(['sink_parked']);
    tell({ event: 'pipeline.unparked', sink: 'stdout', outageMs: 1 });
    expect(codes()).toEqual([]);
  });

  it('ends at once when state cannot be written', () => {
    tell(page, { event: 'checkpoint.retry', sink: 'splunk', detail: 'ENOSPC', attempt: 1, waitMs: 1 });
    expect(codes()).toEqual(['state_not_writable']);
    tell({ event: 'checkpoint.saved', sink: 'splunk', after: 9n, elapsedMs: 1 });
    expect(codes()).toEqual([]);
  });

  it('ends while the newest delivered event has another text, not where it is only gone', () => {
    const newest = { event: 'pipeline.history_check', sink: 'splunk', id: 9n } as const;
    tell(page, { ...newest, result: 'gone' });
    expect(codes()).toEqual([]);
    tell({ ...newest, result: 'rewritten' });
    expect(codes()).toEqual(['log_rewritten']);
    tell({ ...newest, result: 'there' });
    expect(codes()).toEqual([]);
  });

  it('forgets what was unreadable with a reload, and what a route waited for with the start of the next', () => {
    tell(page, { event: 'source.unreadable', after: 41n, detail: 'x' });
    tell({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: clock.epochMs - 5_000 }, start());
    expect(codes()).toEqual([]);
    expect(lag()).toBe(5_000);
    tell({ event: 'pipeline.start', sink: 'splunk', after: 9n, cursor: 9n, from: 'checkpoint' });
    expect(lag()).toBe(0);
  });
});

describe('liveness', () => {
  it('lasts while the source is waited for, and ends when a request never does', () => {
    tell({ event: 'source.request', after: 7n });
    clock.pass(14 * minute);
    expect(isAlive(health)).toBe(true);
    clock.pass(2 * minute);
    expect(isAlive(health)).toBe(false);
    tell({ event: 'source.response', after: 7n, status: 'timeout', elapsedMs: 1 }, sourceRetry);
    clock.pass(60 * minute);
    expect(isAlive(health)).toBe(true);
  });

  it('does not wait for a request of a source that a reload replaced, even where no route began anew', () => {
    tell({ event: 'source.request', after: 7n }, { ...start(), reload: true, restarted: [] } as TelemetryEvent);
    clock.pass(60 * minute);
    expect(isAlive(health)).toBe(true);
  });
});

describe('lag', () => {
  it('is the age of the oldest event that is not confirmed, by the server’s clock', () => {
    const hour = 60 * minute;
    tell({ ...page, serverAheadMs: hour });
    expect(lag()).toBe(0);
    tell({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: clock.epochMs + hour - 20_000 });
    clock.pass(10_000);
    expect(lag()).toBe(30_000);
    expect(lag('stdout')).toBe(0);
    tell({ event: 'pipeline.waiting', sink: 'splunk', oldestAtMs: undefined });
    expect(lag()).toBe(0);
  });

  it('grows with the age of the last good poll while polls fail', () => {
    tell(page);
    clock.pass(minute);
    expect(lag()).toBe(0);
    tell(sourceRetry);
    expect(lag()).toBe(minute);
    clock.pass(minute);
    expect(lag('stdout')).toBe(2 * minute);
    tell(page);
    expect(lag()).toBe(0);
  });

  it('counts from the start where no poll was ever good', () => {
    clock.pass(90_000);
    tell(sourceRetry);
    expect(lag()).toBe(90_000);
  });
});

describe('what is known of a sink', () => {
  it('does not go back when a late event is delivered', () => {
    tell({ event: 'pipeline.start', sink: 'splunk', after: 5n, cursor: 3n, from: 'checkpoint' }, delivered);
    tell({ ...delivered, last: 6n, records: 1 });
    expect(health.sinks.get('splunk')).toMatchObject({ head: 9n, cursor: 3n, delivered: 3 });
  });

  it('has a rate over the last minute', () => {
    const rate = () => health.sinks.get('splunk')?.rate.perSecond(clock.monotonicMs) ?? -1;
    for (let second = 0; second < 120; second++) {
      tell({ ...delivered, records: 50 });
      clock.pass(1_000);
    }
    expect(rate()).toBeCloseTo(50, 0);
    clock.pass(2 * minute);
    expect(rate()).toBe(0);
  });
});
