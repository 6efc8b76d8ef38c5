import { figuresOf, grouped } from '../figures.ts';
import { type Run, runProgram, serve } from '../process.ts';
import type { Scenario } from '../scenario.ts';
import { counted, hecSink } from '../workspace.ts';

interface Setting {
  readonly label: string;
  /** Of the sink. */
  readonly sink?: string;
  /** Of Node. */
  readonly options?: string[];
}

const all: readonly Setting[] = [
  { label: 'as packaged' },
  { label: 'compression: none', sink: 'compression: none' },
  { label: 'batch.maxEvents: 100', sink: 'batch: { maxEvents: 100 }' },
  { label: 'batch.maxBytes: 100KiB', sink: 'batch: { maxBytes: 100KiB }' },
  { label: 'format: ocsf', sink: 'format: ocsf' },
  { label: 'without the packaged Node options', options: [] },
  { label: 'only --max-semi-space-size=1', options: ['--max-semi-space-size=1'] },
];

/** What the advice in docs/performance.md rests on. */
export const tuning: Scenario = {
  name: 'tuning',
  async run(bench) {
    const events = bench.settings.fewer / 2;
    const source = await bench.source(events);
    const rows: string[][] = [];
    const figures: Record<string, Record<string, number>> = {};
    for (const { label, sink, options } of all) {
      using hec = await serve({ kind: 'hec' });
      const runs: Run[] = [];
      for (let round = 0; round < Math.min(2, bench.settings.rounds); round++) {
        const more = ['acknowledgement: false', ...(sink === undefined ? [] : [sink])].join(', ');
        const config = bench.configure(source, [hecSink(hec, more)]);
        runs.push(await counted(() => runProgram(['once', '-c', config], true, options), events, hec));
      }
      const measured = figuresOf(runs, events);
      const bytesAnEvent = Math.round((await hec.bytes()) / events / runs.length);
      figures[label] = { events, bytesAnEvent, ...measured };
      rows.push([
        label,
        grouped(events),
        grouped(measured.eventsPerSecond),
        grouped(measured.eventsPerCpuSecond),
        grouped(measured.eventsPerMovingCpuSecond),
        String(bytesAnEvent),
        String(measured.peakMiB),
      ]);
    }
    return { group: 'tuning', rows, figures };
  },
};
