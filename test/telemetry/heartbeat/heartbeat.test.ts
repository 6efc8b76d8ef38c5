import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type StatusRecord, statusRecordText } from '../../../src/event/status-record.ts';
import { accepted, type Verdict } from '../../../src/lib/verdict.ts';
import { Health } from '../../../src/telemetry/health.ts';
import type { SendStatus } from '../../../src/telemetry/heartbeat/heartbeat.ts';
import { Heartbeats } from '../../../src/telemetry/heartbeat/heartbeats.ts';
import type { TelemetryEvent } from '../../../src/telemetry/telemetry-event.ts';
import { samples } from '../../support/happenings.ts';

const minute = 60_000;
const retry: Verdict = { kind: 'retry', reason: 'network', detail: 'no' };
const page: TelemetryEvent = { ...samples['source.page'], serverAheadMs: 0 };
const timeout: TelemetryEvent = { ...samples['source.retry'], reason: 'timeout' };

let health: Health;
let feeds: Heartbeats;
let heard: StatusRecord[];
let journal: Record<string, unknown>[];
let answer: () => ReturnType<SendStatus>;
let stop: AbortController;
let signals: { graceful: AbortSignal; forced: AbortSignal };
let running: Promise<void>;

const tell = (...happenings: TelemetryEvent[]) => {
  for (const happening of happenings) {
    health.handle(happening);
    feeds.handle(happening);
  }
};
const toSink: SendStatus = async (note) => {
  const verdict = await answer();
  if (verdict.kind === 'accepted') heard.push(note);
  return verdict;
};
const events = () => heard.map(({ event }) => event.replace('forwarder.', ''));
const last = () => heard.at(-1)?.members ?? {};
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(async () => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) });
  health = new Health(() => ({ epochMs: Date.now(), monotonicMs: performance.now() }));
  journal = [];
  feeds = new Heartbeats(health, async (entry) => void journal.push(entry));
  feeds.apply([
    { name: 'splunk', heartbeatMs: 5 * minute },
    { name: 'quiet', heartbeatMs: undefined },
  ]);
  heard = [];
  answer = async () => accepted;
  stop = new AbortController();
  signals = { graceful: stop.signal, forced: new AbortController().signal };
  tell({ ...samples['daemon.start'], sinks: ['splunk', 'quiet'] }, page);
  running = feeds.run('splunk', toSink, signals);
  await pass(0);
});
afterEach(async () => {
  stop.abort();
  await running;
  vi.useRealTimers();
});

describe('the feed of a sink', () => {
  it('has a heartbeat as often as it was asked for, numbered, while nothing happens', async () => {
    for (let i = 0; i < 60; i++) {
      tell(page);
      await pass(15_000);
    }
    expect(heard.map(({ event, members }) => [event, members['sequence']])).toEqual([
      ['forwarder.heartbeat', 1],
      ['forwarder.heartbeat', 2],
      ['forwarder.heartbeat', 3],
    ]);
    expect(last()).toMatchObject({ source: 'ok', ready: true, lag_seconds: 0, every_seconds: 300 });
  });

  it('is JSON under one key, with ids as digits', async () => {
    tell({ ...samples['pipeline.set_aside'], id: 18_446_744_073_709_551_617n });
    await pass(0);
    expect(JSON.parse(statusRecordText(heard[0] as StatusRecord))).toEqual({
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

  it('is told of an interruption that lasts, and of its end with the length', async () => {
    tell(timeout);
    await pass(10_000);
    tell(timeout);
    expect(events()).toEqual([]);
    await pass(20_000);
    tell(timeout);
    await pass(minute);
    tell(timeout, page);
    await pass(0);
    expect(events()).toEqual(['interrupted', 'resumed']);
    expect(heard[0]?.members).toMatchObject({
      what: 'source',
      why: 'source_unreachable',
      since: '2026-01-01T12:00:00.000Z',
    });
    expect(last()).toMatchObject({ what: 'source', why: 'source_unreachable', seconds: 90 });
  });

  it('says nothing of what passes within half a minute', async () => {
    tell(timeout);
    await pass(29_000);
    tell(page);
    await pass(minute);
    expect(events()).toEqual([]);
  });

  it('is told at once of a refused key', async () => {
    tell(samples['source.refused']);
    await pass(0);
    expect(heard[0]?.members).toMatchObject({ why: 'key_refused', detail: 'answered 403.' });
    await pass(5 * minute);
    expect(last()).toMatchObject({ source: 'refused', ready: false });
  });

  it('goes by the server’s clock, and tells the difference', async () => {
    tell({ ...page, serverAheadMs: -3_600_000 } as TelemetryEvent);
    await pass(5 * minute);
    expect(heard[0]?.atMs).toBe(Date.UTC(2026, 0, 1, 11, 5));
    expect(last()).toMatchObject({ clock_difference_seconds: -3_600, source: 'ok', ready: true });
  });

  it('has one heartbeat, the newest, after a long cut, and then the length of the cut', async () => {
    answer = async () => retry;
    await pass(61 * minute);
    answer = async () => accepted;
    await pass(minute);
    expect(events()).toEqual(['heartbeat', 'resumed']);
    expect(heard[0]?.members['sequence']).toBeGreaterThanOrEqual(12);
    expect(last()).toMatchObject({ what: 'sink', why: 'network' });
    expect(last()['seconds']).toBeGreaterThan(50 * 60);
  });

  it('is told of a cut that only the route met', async () => {
    tell(samples['pipeline.retry']);
    await pass(2 * minute);
    tell(samples['pipeline.recovered']);
    await pass(0);
    expect(events()).toEqual(['resumed']);
    expect(last()).toMatchObject({ what: 'sink', why: 'network', seconds: 120 });
  });

  it('keeps the order, and at most a hundred notes, while the sink is down', async () => {
    answer = async () => retry;
    for (let id = 1n; id <= 150n; id++) tell({ ...samples['pipeline.set_aside'], id });
    await pass(1_000);
    answer = async () => accepted;
    await pass(2 * minute);
    const ids = heard.flatMap(({ members }) => (members['id'] === undefined ? [] : [Number(members['id'])]));
    expect(ids).toEqual(Array.from({ length: 100 }, (_, i) => i + 51));
    expect(journal).toHaveLength(150);
  });

  it('sends a note again that was lost after the sending', async () => {
    let lost = 0;
    answer = async () => ({ kind: 'sent', confirmed: Promise.resolve(lost++ === 0 ? retry : accepted) });
    const sent = vi.fn(toSink);
    stop.abort();
    await running;
    stop = new AbortController();
    signals = { ...signals, graceful: stop.signal };
    running = feeds.run('splunk', sent, signals);
    tell(samples['pipeline.set_aside']);
    await pass(minute);
    expect(sent).toHaveBeenCalledTimes(2);
  });

  it('drops what the sink refuses for its content', async () => {
    answer = async () => ({ kind: 'reject', reason: 'malformed', detail: 'no' });
    tell(samples['pipeline.set_aside']);
    await pass(0);
    answer = async () => accepted;
    await pass(5 * minute);
    expect(events()).toEqual(['heartbeat']);
  });

  it('does not wait for a sink that says nothing when it is to stop', async () => {
    answer = () => new Promise(() => {});
    tell(samples['pipeline.set_aside']);
    await pass(1_000);
    stop.abort();
    await running;
    const said = feeds.farewell('splunk', toSink, signals, { why: 'SIGTERM' });
    await pass(1_500);
    await said;
    expect(heard).toEqual([]);
  });

  it('has a last word', async () => {
    stop.abort();
    await running;
    await feeds.farewell('splunk', toSink, signals, { why: 'SIGTERM' });
    expect(events()).toEqual(['stopped']);
  });
});

describe('the journal', () => {
  it('has every note but the heartbeats, once, whether or not a sink wants a feed', async () => {
    feeds.announce('forwarder.started', { version: '1' }, {});
    tell({ ...samples['pipeline.set_aside'], sink: 'quiet' });
    await pass(11 * minute);
    expect(journal).toMatchObject([
      { event: 'forwarder.started', version: '1' },
      { event: 'forwarder.set_aside', sink: 'quiet', id: '9' },
    ]);
    expect(events()).toEqual(['started', 'heartbeat', 'heartbeat']);
  });
});
