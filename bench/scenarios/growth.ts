import { figuresOf, grouped } from '../figures.ts';
import { type Run, runProgram, serve } from '../process.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { type Bench, counted, hecSink } from '../workspace.ts';

interface Point {
  readonly label: string;
  readonly events: number;
  readonly sinks?: number;
  readonly pageSize?: number;
}

/** The same import to HEC with gzip, once for each point. Records are events times sinks. */
async function along(bench: Bench, what: string, points: readonly Point[]): Promise<Outcome> {
  const rows: string[][] = [];
  const figures: Record<string, Record<string, number>> = {};
  for (const { label, events, sinks = 1, pageSize = 1000 } of points) {
    const source = await bench.source(events, pageSize === 1000 ? {} : { pageSize });
    using hec = await serve({ kind: 'hec' });
    const runs: Run[] = [];
    for (let round = 0; round < Math.min(2, bench.settings.rounds); round++) {
      const all = Array.from({ length: sinks }, (_, index) => hecSink(hec, undefined, `splunk-${index}`));
      const config = bench.configure(source, all, `pageSize: ${pageSize}`);
      runs.push(await counted(() => runProgram(['once', '-c', config], true), events * sinks, hec));
    }
    const records = figuresOf(runs, events * sinks);
    const { eventsPerSecond } = figuresOf(runs, events);
    figures[label] = { events, sinks, pageSize, ...records, eventsPerSecond };
    rows.push([
      `${label} ${what}`,
      grouped(events),
      grouped(eventsPerSecond),
      grouped(records.eventsPerCpuSecond),
      grouped(records.eventsPerMovingCpuSecond),
      String(records.peakMiB),
    ]);
  }
  return { group: 'growth', rows, figures };
}

export const sinks: Scenario = {
  name: 'sinks',
  run: (bench) => {
    const events = bench.settings.fewer / 2;
    return along(
      bench,
      'sinks',
      [1, 4, 16].map((count) => ({ label: String(count), events, sinks: count })),
    );
  },
};

export const pages: Scenario = {
  name: 'pages',
  run: (bench) => {
    const events = bench.settings.fewer / 2;
    const sizes = [100, 250, 500, 1000];
    return along(
      bench,
      'events a page',
      sizes.map((pageSize) => ({ label: String(pageSize), events, pageSize })),
    );
  },
};

export const backlog: Scenario = {
  name: 'backlog',
  run: (bench) => {
    const sizes = [10_000, 100_000, 1_000_000].filter((size) => size <= bench.settings.events);
    return along(
      bench,
      'events behind',
      sizes.map((events) => ({ label: grouped(events), events })),
    );
  },
};
