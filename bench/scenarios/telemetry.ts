import { performance } from 'node:perf_hooks';
import { Telemetry } from '../../src/telemetry/telemetry.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import type { Scenario } from '../scenario.ts';

const sink = 'splunk';
const pages = 50_000;

/** What one page of 1,000 events that goes through in one batch makes the program say of itself. */
const ofOnePage: readonly TelemetryEvent[] = [
  { event: 'source.request', after: 1n },
  { event: 'source.response', after: 1n, status: 200, elapsedMs: 20 },
  { event: 'source.page', after: 1n, events: 1000, newEvents: 1000, bytes: 400_000, serverAheadMs: 3 },
  { event: 'pipeline.encoded', sink, records: 1000, elapsedMs: 1 },
  { event: 'pipeline.waiting', sink, oldestAtMs: 5 },
  { event: 'pipeline.delivered', sink, records: 1000, last: 1000n, elapsedMs: 12, lastAtMs: 5 },
  { event: 'pipeline.waiting', sink, oldestAtMs: undefined },
  { event: 'checkpoint.saved', sink, after: 1000n, elapsedMs: 2 },
];

/** CPU of the metrics and traces with no SDK loaded, microseconds a page of 1,000 events. */
async function telemetryCost(): Promise<number> {
  await using telemetry = new Telemetry({
    version: '0',
    origin: 'https://acme.eu1.qasphere.com',
    instance: 'bench',
    clock: () => ({ epochMs: 0, monotonicMs: performance.now() }),
    recordOperation: async () => {},
    droppedLogLines: () => 0,
    emit: () => {},
  });
  telemetry.handle({
    event: 'daemon.start',
    version: '0',
    sinks: [sink],
    pollEveryMs: 15_000,
    reload: false,
    restarted: ['splunk'],
  });
  const run = () => {
    for (let page = 0; page < pages; page++) for (const event of ofOnePage) telemetry.handle(event);
  };
  run();
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / pages;
}

export const telemetry: Scenario = {
  name: 'telemetry',
  async run() {
    const microseconds = await telemetryCost();
    return {
      group: 'small',
      rows: [['metrics and traces without a reader, CPU per page of 1,000', `${microseconds.toFixed(1)} µs`]],
      figures: { telemetry: { microseconds } },
    };
  },
};
