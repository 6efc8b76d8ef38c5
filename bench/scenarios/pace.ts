import { counted, hecSink } from '../bench-place.ts';
import { figuresOf, grouped, share } from '../figures.ts';
import { judge } from '../judgement.ts';
import { type Run, runProgram, serve } from '../processes.ts';
import type { Scenario } from '../scenario.ts';
import { apiLimit } from '../settings.ts';

const pageSize = 1000;

/** The import that the API's limit allows: as many requests as there are pages, and one that finds nothing new. */
export const limit: Scenario = {
  name: 'limit',
  async run(bench) {
    const pages = bench.settings.limitPages;
    const events = pages * pageSize;
    using source = await serve({ kind: 'source', events, perSecond: apiLimit });
    using hec = await serve({ kind: 'hec' });
    const config = bench.configure(source, [hecSink(hec)]);
    const run = await counted(() => runProgram(['once', '-c', config], false), events, hec);
    const requests = await source.count();
    const idealMs = Math.floor((requests - 1) / apiLimit) * 1000;
    const timesIdeal = share(run.movingMs, idealMs);
    const shareOfCore = share(run.movingCpuMs, run.movingMs);
    const shown = `${grouped(events)} events in ${(run.movingMs / 1000).toFixed(2)} s with ${Math.round(shareOfCore * 100)} % of a core`;
    return {
      group: 'small',
      rows: [[`import at the API’s limit, ${apiLimit} requests/s`, shown]],
      judgements: [
        judge({ what: 'import at the API’s limit: times the ideal', value: timesIdeal, bound: ['≤', 1.05], digits: 3 }),
        judge({
          what: 'import at the API’s limit, to HEC, gzip: share of one core',
          value: shareOfCore * 100,
          bound: ['≤', 25],
          unit: ' %',
          digits: 1,
        }),
      ],
      figures: { limit: { events, requests, idealMs, movingMs: run.movingMs, timesIdeal, shareOfCore } },
    };
  },
};

const latencyMs = 40;

/** The same import with each answer of both ends late. */
export const latency: Scenario = {
  name: 'latency',
  async run(bench) {
    const events = bench.settings.fewer;
    const source = await bench.source(events, { latencyMs });
    using hec = await serve({ kind: 'hec', latencyMs });
    const runs: Run[] = [];
    for (let round = 0; round < bench.settings.rounds; round++) {
      const config = bench.configure(source, [hecSink(hec)]);
      runs.push(await counted(() => runProgram(['once', '-c', config], true), events, hec));
    }
    const figures = figuresOf(runs, events);
    const what = `events/s with ${latencyMs} ms at the API and at HEC`;
    return {
      group: 'small',
      rows: [[what, grouped(figures.eventsPerSecond)]],
      judgements: [judge({ what, value: figures.eventsPerSecond, bound: ['≥', 20_000] })],
      figures: { latency: { events, latencyMs, ...figures } },
    };
  },
};
