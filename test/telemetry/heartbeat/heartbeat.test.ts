import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type StatusRecord, statusRecordText } from '../../../src/event/status-record.ts';
import { accepted, type Verdict } from '../../../src/lib/verdict.ts';
import { Health } from '../../../src/telemetry/health.ts';
import type { SendStatus } from '../../../src/telemetry/heartbeat/heartbeat.ts';
import { Heartbeats } from '../../../src/telemetry/heartbeat/heartbeats.ts';
import type { TelemetryEvent } from '../../../src/telemetry/telemetry-event.ts';
import { samples } from '../../support/telemetry-events.ts';

const minute = 60_000;
const retry: Verdict = { kind: 'retry', reason: 'network', detail: 'no' };
const page: TelemetryEvent = { ...samples['source.page'], serverAheadMs: 0 };
const timeout: TelemetryEvent = { ...samples['source.retry'], reason: 'timeout' };

let health: Health;
let heartbeats: Heartbeats;
let received: StatusRecord[];
let operations: Record<string, unknown>[];
let answer: () => ReturnType<SendStatus>;
let stop: AbortController;
let signals: { graceful: AbortSignal; forced: AbortSignal };
let running: Promise<void>;

const handle = (...events: TelemetryEvent[]) => {
  for (const event of events) {
    health.handle(event);
    heartbeats.handle(event);
  }
};
const sendStatus: SendStatus = async (record) => {
  const verdict = await answer();
  if (verdict.kind === 'accepted') received.push(record);
  return verdict;
};
const events = () => received.map(({ event }) => event.replace('forwarder.', ''));
const last = () => received.at(-1)?.members ?? {};
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(async () => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) });
  health = new Health(() => ({ epochMs: Date.now(), monotonicMs: performance.now() }));
  operations = [];
  heartbeats = new Heartbeats(health, async (entry) => void operations.push(entry));
  heartbeats.apply([
    { name: 'splunk', heartbeatMs: 5 * minute },
    { name: 'quiet', heartbeatMs: undefined },
  ]);
  received = [];
  answer = async () => accepted;
  stop = new AbortController();
  signals = { graceful: stop.signal, forced: new AbortController().signal };
  handle({ ...samples['daemon.start'], sinks: ['splunk', 'quiet'] }, page);
  running = heartbeats.run('splunk', sendStatus, signals);
  await pass(0);
});
afterEach(async () => {
  stop.abort();
  await running;
  vi.useRealTimers();
});

describe('the heartbeat of a sink', () => {
  it('is sent at its interval, numbered, while nothing happens', async () => {
    for (let i = 0; i < 60; i++) {
      handle(page);
      await pass(15_000);
    }
    expect(received.map(({ event, members }) => [event, members['sequence']])).toEqual([
      ['forwarder.heartbeat', 1],
      ['forwarder.heartbeat', 2],
      ['forwarder.heartbeat', 3],
    ]);
    expect(last()).toMatchObject({ source: 'ok', ready: true, lag_seconds: 0, every_seconds: 300 });
  });

  it('is JSON under one key, with ids as strings of digits', async () => {
    handle({ ...samples['pipeline.set_aside'], id: 18_446_744_073_709_551_617n });
    await pass(0);
    expect(JSON.parse(statusRecordText(received[0] as StatusRecord))).toEqual({
      forwarder: {
        event: 'forwarder.set_aside',
        at: '2026-01-01T12:00:00.000Z',
        sink: 'splunk',
        id: '18446744073709551617',
        reason: 'malformed',
        detail: 'no',
      },
    });
  });

  it('reports an outage of the API after 30 s, and its end with the duration', async () => {
    handle(timeout);
    await pass(10_000);
    handle(timeout);
    expect(events()).toEqual([]);
    await pass(20_000);
    handle(timeout);
    await pass(minute);
    handle(timeout, page);
    await pass(0);
    expect(events()).toEqual(['interrupted', 'resumed']);
    expect(received[0]?.members).toMatchObject({
      what: 'source',
      why: 'source_unreachable',
      since: '2026-01-01T12:00:00.000Z',
    });
    expect(last()).toMatchObject({ what: 'source', why: 'source_unreachable', seconds: 90 });
  });

  it('does not report an outage shorter than 30 s', async () => {
    handle(timeout);
    await pass(29_000);
    handle(page);
    await pass(minute);
    expect(events()).toEqual([]);
  });

  it('reports a rejected key at once', async () => {
    handle(samples['source.refused']);
    await pass(0);
    expect(received[0]?.members).toMatchObject({ why: 'key_refused', detail: 'answered 403.' });
    await pass(5 * minute);
    expect(last()).toMatchObject({ source: 'refused', ready: false });
  });

  it('uses the server’s clock, and reports the difference', async () => {
    handle({ ...page, serverAheadMs: -3_600_000 } as TelemetryEvent);
    await pass(5 * minute);
    expect(received[0]?.atMs).toBe(Date.UTC(2026, 0, 1, 11, 5));
    expect(last()).toMatchObject({ clock_difference_seconds: -3_600, source: 'ok', ready: true });
  });

  it('sends only the newest heartbeat after a long outage of the sink, and then the duration of the outage', async () => {
    answer = async () => retry;
    await pass(61 * minute);
    answer = async () => accepted;
    await pass(minute);
    expect(events()).toEqual(['heartbeat', 'resumed']);
    expect(received[0]?.members['sequence']).toBeGreaterThanOrEqual(12);
    expect(last()).toMatchObject({ what: 'sink', why: 'network' });
    expect(last()['seconds']).toBeGreaterThan(50 * 60);
  });

  it('reports an outage of the sink that only the pipeline noticed', async () => {
    handle(samples['pipeline.retry']);
    await pass(2 * minute);
    handle(samples['pipeline.recovered']);
    await pass(0);
    expect(events()).toEqual(['resumed']);
    expect(last()).toMatchObject({ what: 'sink', why: 'network', seconds: 120 });
  });

  it('keeps the order, and at most 100 records, while the sink is down', async () => {
    answer = async () => retry;
    for (let id = 1n; id <= 150n; id++) handle({ ...samples['pipeline.set_aside'], id });
    await pass(1_000);
    answer = async () => accepted;
    await pass(2 * minute);
    const ids = received.flatMap(({ members }) => (members['id'] === undefined ? [] : [Number(members['id'])]));
    expect(ids).toEqual(Array.from({ length: 100 }, (_, i) => i + 51));
    expect(operations).toHaveLength(150);
  });

  it('sends a record again that was lost after sending', async () => {
    let lost = 0;
    answer = async () => ({ kind: 'sent', confirmed: Promise.resolve(lost++ === 0 ? retry : accepted) });
    const sent = vi.fn(sendStatus);
    stop.abort();
    await running;
    stop = new AbortController();
    signals = { ...signals, graceful: stop.signal };
    running = heartbeats.run('splunk', sent, signals);
    handle(samples['pipeline.set_aside']);
    await pass(minute);
    expect(sent).toHaveBeenCalledTimes(2);
  });

  it('drops a record that the sink rejects for its content', async () => {
    answer = async () => ({ kind: 'reject', reason: 'malformed', detail: 'no' });
    handle(samples['pipeline.set_aside']);
    await pass(0);
    answer = async () => accepted;
    await pass(5 * minute);
    expect(events()).toEqual(['heartbeat']);
  });

  it('does not wait at a stop for a sink that does not answer', async () => {
    answer = () => new Promise(() => {});
    handle(samples['pipeline.set_aside']);
    await pass(1_000);
    stop.abort();
    await running;
    const finished = heartbeats.finish('splunk', sendStatus, signals, { why: 'SIGTERM' });
    await pass(1_500);
    await finished;
    expect(received).toEqual([]);
  });

  it('sends a last record', async () => {
    stop.abort();
    await running;
    await heartbeats.finish('splunk', sendStatus, signals, { why: 'SIGTERM' });
    expect(events()).toEqual(['stopped']);
  });
});

describe('the operations log', () => {
  it('has every record except heartbeats, once, whether or not a sink has a heartbeat', async () => {
    heartbeats.announce('forwarder.started', { version: '1' }, {});
    handle({ ...samples['pipeline.set_aside'], sink: 'quiet' });
    await pass(11 * minute);
    expect(operations).toMatchObject([
      { event: 'forwarder.started', version: '1' },
      { event: 'forwarder.set_aside', sink: 'quiet', id: '9' },
    ]);
    expect(events()).toEqual(['started', 'heartbeat', 'heartbeat']);
  });
});
