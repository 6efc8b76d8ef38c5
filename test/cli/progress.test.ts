import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress, type ProgressOptions } from '../../src/cli/progress.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 11);
let now: number;
const open: Progress[] = [];

function progress(options: ProgressOptions = {}, isTerminal = true): Progress {
  const stderr = { isTerminal, isJournal: false, columns: 80, dropped: 0, write: () => {}, onRoom: () => {} };
  const made = new Progress({ stderr }, { now: () => now, ...options });
  open.push(made);
  return made;
}
const delivered = (sink: string, records: number, last: bigint, lastAtMs?: number): TelemetryEvent => ({
  event: 'pipeline.delivered',
  sink,
  records,
  last,
  elapsedMs: 1,
  ...(lastAtMs !== undefined && { lastAtMs }),
});

beforeEach(() => {
  now = start;
});
afterEach(() => {
  for (const made of open.splice(0)) made[Symbol.dispose]();
  vi.useRealTimers();
});

describe('the progress of a drain', () => {
  it('tells the date reached and the time left by the dates of the events', () => {
    const made = progress();
    made.handle(delivered('splunk', 100, 100n, start - 10 * day));
    now += 10_000;
    made.handle(delivered('splunk', 900, 1_000n, start - 8 * day));
    expect(made.line(200)).toBe('[####................] 20%  at 2026-01-03T00:00Z  40s left  splunk 1000 (100/s)');
  });

  it('tells the share of a range by its ids', () => {
    const made = progress({ range: { after: 1_000n, until: 2_000n } });
    now += 5_000;
    made.handle(delivered('splunk', 10, 1_250n));
    expect(made.line(200)).toBe('[#####...............] 25%  15s left  splunk 10 (2/s)');
  });

  it('goes by the slowest sink', () => {
    const made = progress();
    for (const sink of ['fast', 'slow']) made.handle(delivered(sink, 1, 1n, start - 10 * day));
    now += 1_000;
    made.handle(delivered('fast', 1, 9n, start));
    made.handle(delivered('slow', 1, 2n, start - 5 * day));
    expect(made.line(200)).toContain('50%  at 2026-01-06');
    expect(made.line(30)).toHaveLength(30);
  });

  it('foretells nothing while too little is done', () => {
    const made = progress();
    made.handle(delivered('splunk', 1, 1n, start - 10 * day));
    now += 1_000;
    expect(made.line(200)).not.toContain('left');
  });

  it('is a log line every ten seconds where stderr is no terminal', async () => {
    vi.useFakeTimers();
    const logged: TelemetryEvent[] = [];
    const made = progress({}, false);
    made.logWith((event) => logged.push(event));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(logged).toEqual([]);
    made.handle(delivered('splunk', 100, 100n, start - 10 * day));
    now += 20_000;
    made.handle(delivered('splunk', 100, 200n, start - 5 * day));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(logged).toEqual([
      {
        event: 'pipeline.progress',
        sink: 'splunk',
        events: 200,
        perSecond: 10,
        reached: '2026-01-06T00:00:00.000Z',
        leftSeconds: 20,
      },
    ]);
  });
});
