import { mkdirSync } from 'node:fs';
import { type Bench, counted, hecSink, syslogSink } from '../bench-place.ts';
import type { FarOptions } from '../far/far.ts';
import { grouped, mebibytes, perSecond } from '../figures.ts';
import { type Judgement, judge } from '../judgement.ts';
import { writeEvents } from '../peers/events-file.ts';
import { type Peer, runPeer } from '../peers/peer.ts';
import { rsyslog, rsyslogParsing } from '../peers/rsyslog.ts';
import { syslogNgOverHttp, syslogNgOverTcp, syslogNgParsing } from '../peers/syslog-ng.ts';
import { type Run, runFloor, runProgram, type Served, serve } from '../processes.ts';
import type { Outcome, Scenario } from '../scenario.ts';

/** Unlike an import, a peer has no first request: whole processes are compared, start and end included. */
const figuresOf = (runs: readonly Run[], events: number) => ({
  eventsPerSecond: perSecond(events, Math.min(...runs.map(({ wallMs }) => wallMs))),
  eventsPerCpuSecond: perSecond(events, Math.min(...runs.map(({ cpuMs }) => cpuMs))),
  slowestPerCpuSecond: perSecond(events, Math.max(...runs.map(({ cpuMs }) => cpuMs))),
  peakMiB: mebibytes(Math.max(...runs.map(({ peakBytes }) => peakBytes))),
});

interface Contest {
  readonly what: string;
  readonly far: FarOptions;
  readonly sink: (far: Served) => string;
  /** The way of child/floor.ts that does the same. */
  readonly floor: 'none' | 'tcp';
  readonly peers: readonly (readonly [peer: Peer, wanted?: number])[];
}

async function besidePeers(bench: Bench, { what, far, sink, floor, peers }: Contest): Promise<Outcome> {
  const { events, rounds } = bench.settings;
  const here = peers.filter(([{ missing }]) => missing === undefined);
  const source = await bench.source(events);
  using collector = await serve(far);
  const file = bench.newPath();
  if (here.length > 0) await writeEvents(file, events);
  const [own, floors]: [Run[], Run[]] = [[], []];
  const others = new Map(here.map(([{ name }]) => [name, [] as Run[]]));
  for (let round = 0; round < rounds; round++) {
    const config = bench.configure(source, [sink(collector)]);
    own.push(await counted(() => runProgram(['once', '-c', config], true), events, collector));
    const words = [source.url, source.token, bench.newPath(), floor, collector.url, collector.token];
    floors.push(await counted(() => runFloor(words), events, collector));
    for (const [peer] of here) {
      const directory = bench.newPath();
      mkdirSync(directory);
      others.get(peer.name)?.push(await runPeer(peer.command(directory, file, collector), collector, events));
    }
  }
  const ours = figuresOf(own, events);
  const row = (name: string, figures: typeof ours, forwarderIs: string) => [
    `${what}: ${name}`,
    grouped(events),
    grouped(figures.eventsPerSecond),
    grouped(figures.eventsPerCpuSecond),
    grouped(figures.slowestPerCpuSecond),
    forwarderIs,
    String(figures.peakMiB),
  ];
  const times = (theirs: typeof ours) => ours.eventsPerCpuSecond / theirs.eventsPerCpuSecond;
  const least = figuresOf(floors, events);
  const rows = [row('forwarder', ours, ''), row('floor', least, `${times(least).toFixed(2)} ×`)];
  const judgements: Judgement[] = [];
  const figures: Record<string, Record<string, number>> = {
    forwarder: { events, ...ours },
    floor: { events, ...least },
  };
  const versions: Record<string, string> = {};
  for (const [peer, wanted] of here) {
    const theirs = figuresOf(others.get(peer.name) ?? [], events);
    rows.push(row(peer.name, theirs, `${times(theirs).toFixed(2)} ×`));
    const judged = {
      what: `${what}: events per CPU second, times ${peer.name}’s`,
      value: times(theirs),
      floor: least.eventsPerCpuSecond / theirs.eventsPerCpuSecond,
      digits: 2,
    };
    if (wanted !== undefined) judgements.push(judge({ ...judged, bound: ['≥', wanted] }));
    figures[peer.name] = { events, ...theirs };
    versions[peer.name.split(',')[0] ?? ''] = peer.version();
  }
  const skipped = peers.flatMap(([{ name, missing }]) =>
    missing === undefined ? [] : [`${name}, ${what}: ${missing}`],
  );
  return { group: 'peers', rows, judgements, figures, versions, skipped };
}

export const peersOverTcp: Scenario = {
  name: 'peers-tcp',
  run: (bench) =>
    besidePeers(bench, {
      what: 'syslog over TCP',
      far: { kind: 'tcp' },
      sink: (far) => syslogSink(far),
      floor: 'tcp',
      peers: [[rsyslog, 1], [rsyslogParsing], [syslogNgOverTcp, 2], [syslogNgParsing]],
    }),
};

export const peersOverHec: Scenario = {
  name: 'peers-hec',
  run: (bench) =>
    besidePeers(bench, {
      what: 'HEC, uncompressed',
      far: { kind: 'hec' },
      sink: (far) => hecSink(far, 'acknowledgement: false, compression: none'),
      floor: 'none',
      peers: [[syslogNgOverHttp, 3]],
    }),
};
