import { mkdirSync } from 'node:fs';
import { grouped, mebibytes, perSecond } from '../figures.ts';
import { type Judgement, judge } from '../judgement.ts';
import { writeEvents } from '../peers/events-file.ts';
import { type Peer, runPeer } from '../peers/peer.ts';
import { rsyslog, rsyslogParsing } from '../peers/rsyslog.ts';
import { syslogNgOverHttp, syslogNgOverTcp, syslogNgParsing } from '../peers/syslog-ng.ts';
import { type Run, runBaseline, runProgram, type Served, serve } from '../process.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import type { ServerOptions } from '../servers/servers.ts';
import { type Bench, counted, hecSink, syslogSink } from '../workspace.ts';

/** Unlike an import, a peer has no first request: whole processes are compared, start and end included. */
const figuresOf = (runs: readonly Run[], events: number) => ({
  eventsPerSecond: perSecond(events, Math.min(...runs.map(({ wallMs }) => wallMs))),
  eventsPerCpuSecond: perSecond(events, Math.min(...runs.map(({ cpuMs }) => cpuMs))),
  slowestPerCpuSecond: perSecond(events, Math.max(...runs.map(({ cpuMs }) => cpuMs))),
  peakMiB: mebibytes(Math.max(...runs.map(({ peakBytes }) => peakBytes))),
});

interface Contest {
  readonly what: string;
  readonly server: ServerOptions;
  readonly sink: (server: Served) => string;
  /** The way of processes/baseline.ts that does the same. */
  readonly baseline: 'none' | 'tcp';
  readonly peers: readonly (readonly [peer: Peer, wanted?: number])[];
}

async function besidePeers(bench: Bench, { what, server, sink, baseline, peers }: Contest): Promise<Outcome> {
  const { events, rounds } = bench.settings;
  const here = peers.filter(([{ missing }]) => missing === undefined);
  const source = await bench.source(events);
  using collector = await serve(server);
  const file = bench.newPath();
  if (here.length > 0) await writeEvents(file, events);
  const [own, baselines]: [Run[], Run[]] = [[], []];
  const others = new Map(here.map(([{ name }]) => [name, [] as Run[]]));
  for (let round = 0; round < rounds; round++) {
    const config = bench.configure(source, [sink(collector)]);
    own.push(await counted(() => runProgram(['once', '-c', config], true), events, collector));
    const words = [source.url, source.token, bench.newPath(), baseline, collector.url, collector.token];
    baselines.push(await counted(() => runBaseline(words), events, collector));
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
  const least = figuresOf(baselines, events);
  const rows = [row('forwarder', ours, ''), row('baseline', least, `${times(least).toFixed(2)} ×`)];
  const judgements: Judgement[] = [];
  const figures: Record<string, Record<string, number>> = {
    forwarder: { events, ...ours },
    baseline: { events, ...least },
  };
  const versions: Record<string, string> = {};
  for (const [peer, wanted] of here) {
    const theirs = figuresOf(others.get(peer.name) ?? [], events);
    rows.push(row(peer.name, theirs, `${times(theirs).toFixed(2)} ×`));
    const judged = {
      what: `${what}: events per CPU second, times ${peer.name}’s`,
      value: times(theirs),
      baseline: least.eventsPerCpuSecond / theirs.eventsPerCpuSecond,
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
      server: { kind: 'tcp' },
      sink: (server) => syslogSink(server),
      baseline: 'tcp',
      peers: [[rsyslog], [rsyslogParsing, 1], [syslogNgOverTcp], [syslogNgParsing, 1]],
    }),
};

export const peersOverHec: Scenario = {
  name: 'peers-hec',
  run: (bench) =>
    besidePeers(bench, {
      what: 'HEC, uncompressed',
      server: { kind: 'hec' },
      sink: (server) => hecSink(server, 'acknowledgement: false, compression: none'),
      baseline: 'none',
      peers: [[syslogNgOverHttp, 1]],
    }),
};
