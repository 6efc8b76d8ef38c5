import { describe, expect, it } from 'vitest';
import { watchdogStatusOf } from '../../src/app/watchdog-status.ts';
import { Health } from '../../src/telemetry/health.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { startOf } from '../support/telemetry-events.ts';

const page = { event: 'source.page', after: 0n, events: 0, newEvents: 0, bytes: 2 } as const;
const begin: TelemetryEvent = startOf('splunk', 'siem');

/** The status line after so much had happened, a minute ago, and then the rest. */
function lineAfter(before: readonly TelemetryEvent[], then: readonly TelemetryEvent[]): string {
  let nowMs = 0;
  const health = new Health(() => ({ epochMs: 1_700_000_000_000 + nowMs, monotonicMs: nowMs }));
  for (const happening of before) health.handle(happening);
  nowMs = 60_000;
  for (const happening of then) health.handle(happening);
  return watchdogStatusOf(health).status();
}

const saved = (sink: string, after: bigint): TelemetryEvent => ({
  event: 'checkpoint.saved',
  sink,
  after,
  elapsedMs: 1,
});

describe('the status line', () => {
  it('names each cursor, and no lag where everything is delivered', () => {
    expect(lineAfter([begin, page], [page, saved('splunk', 13n), saved('siem', 10n)])).toBe(
      'splunk at 13, lag 0 s; siem at 10, lag 0 s',
    );
  });

  it('says what is wrong with a sink', () => {
    const parked: TelemetryEvent = {
      event: 'pipeline.parked',
      sink: 'siem',
      reason: 'auth',
      detail: 'bad certificate',
    };
    expect(lineAfter([begin, page], [saved('splunk', 13n), saved('siem', 10n), parked])).toBe(
      'splunk at 13, lag 0 s; siem at 10, lag 0 s: bad certificate',
    );
  });

  it('says first that polls fail, and counts for every sink from the last good one', () => {
    const refused: TelemetryEvent = { event: 'source.refused', status: 403, detail: 'answered 403.', causes: [] };
    expect(lineAfter([begin, page, saved('splunk', 13n)], [refused])).toBe(
      'answered 403.; splunk at 13, lag 60 s; siem not started',
    );
  });

  it('has something to say before there is anything', () => {
    expect(lineAfter([], [begin])).toBe(
      'no page of the audit log has been read yet; splunk not started; siem not started',
    );
  });
});
