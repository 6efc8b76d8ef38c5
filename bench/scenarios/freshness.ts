import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../figures.ts';
import { type Judgement, judge } from '../judgement.ts';
import { serve } from '../process.ts';
import type { Scenario } from '../scenario.ts';
import type { Delay } from '../servers/servers.ts';
import { type Bench, hecSink } from '../workspace.ts';
import { startDaemon, until } from './rest.ts';

/** Events a second that appear meanwhile. */
const rate = 20;

/** How long each event of a steady stream takes from its appearance at the API until a collector has it. */
async function timed(bench: Bench, intervalSeconds: number) {
  using source = await serve({ kind: 'source', rate });
  using hec = await serve({ kind: 'hec-clock' });
  const schedule = intervalSeconds === 1 ? '* * * * * *' : `*/${intervalSeconds} * * * * *`;
  const daemon = startDaemon(bench, source, [hecSink(hec)], `schedule: "${schedule}"`);
  await until(async () => (await hec.count()) > 0, daemon);
  const from = Date.now();
  await sleep(bench.settings.freshSeconds * 1000);
  const to = Date.now();
  const within = ([createdAtMs]: Delay) => createdAtMs >= from && createdAtMs < to;
  // Until one that appeared later is there, so that none of those that count is missing.
  await until(async () => (await hec.delays()).some(([createdAtMs]) => createdAtMs >= to), daemon);
  const delays = (await hec.delays()).filter(within).map(([, delayMs]) => delayMs);
  await daemon.stop();
  return {
    intervalMs: intervalSeconds * 1000,
    events: delays.length,
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
    mostMs: Math.max(...delays),
  };
}

export const freshness: Scenario = {
  name: 'freshness',
  async run(bench) {
    const measured = await Promise.all([timed(bench, 1), timed(bench, 15)]);
    const title = (intervalMs: number) => `appearance to delivery, polled every ${intervalMs / 1000} s`;
    return {
      group: 'small',
      rows: measured.map(({ intervalMs, events, p50Ms, p99Ms, mostMs }) => [
        `${title(intervalMs)}, ${events} events`,
        `p50 ${p50Ms} ms, p99 ${p99Ms} ms, most ${mostMs} ms`,
      ]),
      judgements: measured.map(
        ({ intervalMs, p99Ms }): Judgement =>
          judge({ what: `${title(intervalMs)}: p99`, value: p99Ms, bound: ['≤', intervalMs + 250], unit: ' ms' }),
      ),
      figures: Object.fromEntries(measured.map((one) => [`${one.intervalMs / 1000} s`, one])),
    };
  },
};
