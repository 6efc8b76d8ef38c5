import { figuresOf, grouped, share } from '../figures.ts';
import { judge } from '../judgement.ts';
import { type Run, runProgram, serve } from '../process.ts';
import type { Scenario } from '../scenario.ts';
import { apiLimit } from '../settings.ts';
import { type Bench, counted, hecSink } from '../workspace.ts';

const pageSize = 1000;

/** Pages of the short import, which shows what the first seconds cost while the engine still compiles. */
const firstPages = 100;

/** Imports that the API's limit allows: as many requests as there are pages, and one that finds nothing new. */
export const limit: Scenario = {
  name: 'limit',
  async run(bench) {
    const whole = await atLimit(bench, Math.ceil(bench.settings.events / pageSize));
    const short = whole.events > firstPages * pageSize ? await atLimit(bench, firstPages) : whole;
    const what = `import at the API’s limit, ${apiLimit} requests/s`;
    return {
      group: 'small',
      rows: [
        [what, shown(whole)],
        [`${what}, a short one`, shown(short)],
      ],
      judgements: [
        judge({
          what: 'import at the API’s limit: times the ideal',
          value: whole.timesIdeal,
          bound: ['≤', 1.05],
          digits: 3,
        }),
        judge({
          what: 'import at the API’s limit, to HEC, gzip: share of one core',
          value: whole.shareOfCore * 100,
          bound: ['≤', 25],
          unit: ' %',
          digits: 1,
        }),
      ],
      figures: { limit: whole, short },
    };
  },
};

type AtLimit = Record<'events' | 'requests' | 'idealMs' | 'movingMs' | 'timesIdeal' | 'shareOfCore', number>;

async function atLimit(bench: Bench, pages: number): Promise<AtLimit> {
  const events = pages * pageSize;
  using source = await serve({ kind: 'source', events, perSecond: apiLimit });
  using hec = await serve({ kind: 'hec' });
  const config = bench.configure(source, [hecSink(hec)]);
  const { movingMs, movingCpuMs } = await counted(() => runProgram(['once', '-c', config], false), events, hec);
  const requests = await source.count();
  const idealMs = Math.floor((requests - 1) / apiLimit) * 1000;
  const [timesIdeal, shareOfCore] = [share(movingMs, idealMs), share(movingCpuMs, movingMs)];
  return { events, requests, idealMs, movingMs, timesIdeal, shareOfCore };
}

const shown = ({ events, movingMs, shareOfCore }: AtLimit) =>
  `${grouped(events)} events in ${(movingMs / 1000).toFixed(2)} s with ${Math.round(shareOfCore * 100)} % of a core`;

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
