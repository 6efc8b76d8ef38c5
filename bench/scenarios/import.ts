import { certificatesMissing } from '../../test/support/authority.ts';
import { type Bench, counted, hecSink, stdoutSink, syslogSink } from '../bench-place.ts';
import type { FarOptions } from '../far/far.ts';
import { type Figures, figuresOf, grouped, share } from '../figures.ts';
import { type Judgement, judge } from '../judgement.ts';
import { type Run, runFloor, runProgram, type Served, serve } from '../processes.ts';
import type { Outcome, Scenario } from '../scenario.ts';

interface Way {
  readonly name: string;
  readonly title: string;
  /** The collector; without one the records go to standard output. */
  readonly far?: FarOptions;
  readonly sink: (far: Served | undefined) => string;
  /** The way of child/floor.ts that does the same; without one there is no floor. */
  readonly floor?: 'gzip' | 'none' | 'tcp' | 'stdout';
  /** Moves all of BENCH_EVENTS. */
  readonly headline?: boolean;
  readonly missing?: string | undefined;
  judge?(program: Figures, floor: Figures | undefined): Judgement[];
}

const to = (sink: (far: Served) => string) => (far: Served | undefined) => {
  if (far === undefined) throw new Error('there is no collector');
  return sink(far);
};

const ofFloor = (what: string, least: number) => (program: Figures, floor: Figures | undefined) => [
  judge({
    what: `${what}: share of the floor’s events per CPU second, without start`,
    value: share(program.eventsPerMovingCpuSecond, floor?.eventsPerMovingCpuSecond ?? Number.NaN),
    bound: ['≥', least],
    digits: 2,
  }),
];

const ways: readonly Way[] = [
  {
    name: 'hec',
    title: 'HEC, gzip',
    far: { kind: 'hec' },
    sink: to((far) => hecSink(far)),
    floor: 'gzip',
    headline: true,
    judge: (program, floor) => [
      ...ofFloor('import to HEC, gzip', 0.8)(program, floor),
      judge({
        what: 'import to HEC, gzip: peak memory',
        value: program.peakMiB,
        bound: ['<', 120],
        unit: ' MiB',
        digits: 1,
      }),
    ],
  },
  {
    name: 'hec-plain',
    title: 'HEC, uncompressed',
    far: { kind: 'hec' },
    sink: to((far) => hecSink(far, 'acknowledgement: false, compression: none')),
    floor: 'none',
  },
  {
    name: 'hec-ack',
    title: 'HEC, gzip, acknowledged',
    far: { kind: 'hec', acknowledges: true },
    sink: to((far) => hecSink(far, 'acknowledgement: true')),
  },
  { name: 'tcp', title: 'syslog over TCP', far: { kind: 'tcp' }, sink: to((far) => syslogSink(far)), floor: 'tcp' },
  {
    name: 'tls',
    title: 'syslog over TLS',
    far: { kind: 'tls' },
    sink: to((far) => syslogSink(far)),
    missing: certificatesMissing,
  },
  { name: 'relp', title: 'RELP', far: { kind: 'relp' }, sink: to((far) => syslogSink(far)) },
  {
    name: 'stdout',
    title: 'stdout, a pipe',
    sink: () => stdoutSink,
    floor: 'stdout',
    judge: ofFloor('import to stdout', 0.7),
  },
];

async function measure(bench: Bench, way: Way): Promise<Outcome> {
  const group = 'import';
  if (way.missing !== undefined) return { group, rows: [], figures: {}, skipped: [`${way.title}: ${way.missing}`] };
  const { rounds } = bench.settings;
  const events = way.headline ? bench.settings.events : bench.settings.fewer;
  const source = await bench.source(events);
  using far = way.far === undefined ? undefined : await serve(way.far);
  const [programs, floors]: [Run[], Run[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const target = [way.floor ?? '', far?.url ?? '', far?.token ?? ''];
    const floor = () => runFloor([source.url, source.token, bench.newPath(), ...target]);
    if (way.floor !== undefined) floors.push(await counted(floor, events, far));
    const config = bench.configure(source, [way.sink(far)]);
    programs.push(await counted(() => runProgram(['once', '-c', config], true), events, far));
  }
  const program = figuresOf(programs, events);
  const floor = floors.length === 0 ? undefined : figuresOf(floors, events);
  const beside = (of: (floor: Figures) => string) => (floor === undefined ? '–' : of(floor));
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
    judgements: way.judge?.(program, floor) ?? [],
    figures: { program: { events, ...program }, ...(floor === undefined ? {} : { floor: { events, ...floor } }) },
  };
}

export const imports: readonly Scenario[] = ways.map((way) => ({
  name: way.name,
  run: (bench) => measure(bench, way),
}));
