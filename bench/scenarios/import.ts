import { certificatesMissing } from '../../test/support/authority.ts';
import { type Figures, figuresOf, grouped, share } from '../figures.ts';
import { type Judgement, judge } from '../judgement.ts';
import { type Run, runBaseline, runProgram, type Served, serve } from '../process.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import type { ServerOptions } from '../servers/servers.ts';
import { type Bench, counted, hecSink, stdoutSink, syslogSink } from '../workspace.ts';

interface Way {
  readonly name: string;
  readonly title: string;
  /** The collector; without one the records go to standard output. */
  readonly server?: ServerOptions;
  readonly sink: (server: Served | undefined) => string;
  /** The way of processes/baseline.ts that does the same; without one there is no baseline. */
  readonly baseline?: 'gzip' | 'none' | 'tcp' | 'stdout';
  /** Moves all of BENCH_EVENTS. */
  readonly headline?: boolean;
  readonly missing?: string | undefined;
  judge?(program: Figures): Judgement[];
}

const to = (sink: (server: Served) => string) => (server: Served | undefined) => {
  if (server === undefined) throw new Error('there is no collector');
  return sink(server);
};

const ways: readonly Way[] = [
  {
    name: 'hec',
    title: 'HEC, gzip',
    server: { kind: 'hec' },
    sink: to((server) => hecSink(server)),
    baseline: 'gzip',
    headline: true,
    judge: (program) => [
      judge({
        what: 'import to HEC, gzip: peak memory',
        value: program.peakMiB,
        bound: ['≤', 150],
        unit: ' MiB',
        digits: 1,
      }),
    ],
  },
  {
    name: 'hec-plain',
    title: 'HEC, uncompressed',
    server: { kind: 'hec' },
    sink: to((server) => hecSink(server, 'acknowledgement: false, compression: none')),
    baseline: 'none',
  },
  {
    name: 'hec-ack',
    title: 'HEC, gzip, acknowledged',
    server: { kind: 'hec', acknowledges: true },
    sink: to((server) => hecSink(server, 'acknowledgement: true')),
  },
  {
    name: 'tcp',
    title: 'syslog over TCP',
    server: { kind: 'tcp' },
    sink: to((server) => syslogSink(server)),
    baseline: 'tcp',
  },
  {
    name: 'tls',
    title: 'syslog over TLS',
    server: { kind: 'tls' },
    sink: to((server) => syslogSink(server)),
    missing: certificatesMissing,
  },
  { name: 'relp', title: 'RELP', server: { kind: 'relp' }, sink: to((server) => syslogSink(server)) },
  {
    name: 'stdout',
    title: 'stdout, a pipe',
    sink: () => stdoutSink,
    baseline: 'stdout',
  },
];

async function measure(bench: Bench, way: Way): Promise<Outcome> {
  const group = 'import';
  if (way.missing !== undefined) return { group, rows: [], figures: {}, skipped: [`${way.title}: ${way.missing}`] };
  const { rounds } = bench.settings;
  const events = way.headline ? bench.settings.events : bench.settings.fewer;
  const source = await bench.source(events);
  using server = way.server === undefined ? undefined : await serve(way.server);
  const [programs, baselines]: [Run[], Run[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const target = [way.baseline ?? '', server?.url ?? '', server?.token ?? ''];
    const baseline = () => runBaseline([source.url, source.token, bench.newPath(), ...target]);
    if (way.baseline !== undefined) baselines.push(await counted(baseline, events, server));
    const config = bench.configure(source, [way.sink(server)]);
    programs.push(await counted(() => runProgram(['once', '-c', config], true), events, server));
  }
  const program = figuresOf(programs, events);
  const baseline = baselines.length === 0 ? undefined : figuresOf(baselines, events);
  const beside = (of: (baseline: Figures) => string) => (baseline === undefined ? '–' : of(baseline));
  const row = [
    way.title,
    grouped(events),
    grouped(program.eventsPerSecond),
    grouped(program.eventsPerCpuSecond),
    grouped(program.eventsPerMovingCpuSecond),
    beside(({ eventsPerMovingCpuSecond }) => grouped(eventsPerMovingCpuSecond)),
    beside(({ eventsPerMovingCpuSecond: least }) => share(program.eventsPerMovingCpuSecond, least).toFixed(2)),
    String(program.peakMiB),
    beside(({ peakMiB }) => String(peakMiB)),
  ];
  return {
    group,
    rows: [row],
    judgements: way.judge?.(program) ?? [],
    figures: {
      program: { events, ...program },
      ...(baseline === undefined ? {} : { baseline: { events, ...baseline } }),
    },
  };
}

export const imports: readonly Scenario[] = ways.map((way) => ({
  name: way.name,
  run: (bench) => measure(bench, way),
}));
