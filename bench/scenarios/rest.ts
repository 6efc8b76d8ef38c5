import { setTimeout as sleep } from 'node:timers/promises';
import { nodeOptions } from '../../packaging/bundle.ts';
import { mebibytes } from '../figures.ts';
import { judge } from '../judgement.ts';
import { exactCpuMsOf, memoryOf } from '../proc.ts';
import { program, type Served, type Started, serve, startPlain } from '../process.ts';
import type { Scenario } from '../scenario.ts';
import { type Bench, hecSink, stdoutSink, syslogSink } from '../workspace.ts';

/** Waits for what another process does, or for its unexpected end. */
export async function until(condition: () => Promise<boolean>, started: Started, limitMs = 120_000): Promise<void> {
  let over: unknown;
  started.ended.then(
    () => {
      over = new Error('the program ended early');
    },
    (error) => {
      over = error;
    },
  );
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (over !== undefined) throw over;
    if (performance.now() > deadline) throw new Error(`not in ${limitMs} ms`);
    await sleep(10);
  }
}

/** The daemon as users run it. `options`: of Node; default: those of the packaged starts. */
export const startDaemon = (
  bench: Bench,
  source: Served,
  sinks: readonly string[],
  more: string,
  options = nodeOptions,
): Started => startPlain(process.execPath, [...options, program, 'run', '-c', bench.configure(source, sinks, more)]);

/** A daemon with nothing to do: every 15 s a request, three sinks that wait. `options`: of Node. */
async function atRest(bench: Bench, options: readonly string[]) {
  const events = 1000;
  const seconds = bench.settings.idleSeconds;
  using source = await serve({ kind: 'source', events });
  using hec = await serve({ kind: 'hec' });
  using tcp = await serve({ kind: 'tcp' });
  const sinks = [hecSink(hec), syslogSink(tcp), stdoutSink];
  const daemon = startDaemon(bench, source, sinks, 'schedule: "*/15 * * * * *"', [...options]);
  await until(async () => (await hec.count()) === events && (await tcp.count()) === events, daemon);
  // What went over TCP is confirmed after ten seconds without a close; the poll after that still compiles some code.
  await sleep(20_000);
  const [cpuBefore, before, requestsBefore] = [exactCpuMsOf(daemon.pid), performance.now(), await source.count()];
  await sleep(seconds * 1000);
  const shareOfCore = (exactCpuMsOf(daemon.pid) - cpuBefore) / (performance.now() - before);
  const polls = (await source.count()) - requestsBefore;
  const residentMiB = mebibytes(memoryOf(daemon.pid, 'VmRSS'));
  await daemon.stop();
  return { seconds, polls, shareOfCore, residentMiB };
}

export const idle: Scenario = {
  name: 'idle',
  async run(bench) {
    const [packaged, plain] = await Promise.all([atRest(bench, nodeOptions), atRest(bench, [])]);
    const row = (how: string, { seconds, shareOfCore, residentMiB }: typeof packaged) => [
      `idle, ${how}: every 15 s, three sinks, over ${seconds} s`,
      `${(shareOfCore * 100).toFixed(3)} % of a core, ${residentMiB} MiB`,
    ];
    const memory = { unit: ' MiB', digits: 1 };
    const cpu = packaged.shareOfCore * 100;
    return {
      group: 'small',
      rows: [row('packaged', packaged), row('Node’s defaults', plain)],
      judgements: [
        judge({ what: 'idle: share of a core', value: cpu, bound: ['<', 0.2], unit: ' %', digits: 2 }),
        judge({ what: 'idle, packaged: memory', value: packaged.residentMiB, bound: ['≤', 90], ...memory }),
        judge({ what: 'idle, Node’s defaults: memory', value: plain.residentMiB, bound: ['≤', 110], ...memory }),
      ],
      figures: { idle: packaged, 'idle, Node’s defaults': plain },
    };
  },
};

/** Everything waits at the API and no sink accepts anything: one refuses to connect, one is busy, one never answers. */
export const down: Scenario = {
  name: 'down',
  async run(bench) {
    const seconds = bench.settings.downSeconds;
    const source = await bench.source(bench.settings.events);
    using gone = await serve({ kind: 'tcp' });
    using busy = await serve({ kind: 'hec', fault: 'busy' });
    using silent = await serve({ kind: 'hec', fault: 'hang-before' });
    const sinks = [syslogSink(gone), hecSink(busy, undefined, 'busy'), hecSink(silent, undefined, 'silent')];
    gone[Symbol.dispose]();
    const daemon = startDaemon(bench, source, sinks, 'schedule: "* * * * * *"');
    const before = await source.count();
    await until(async () => (await source.count()) > before, daemon);
    await sleep(seconds * 1000);
    const peakMiB = mebibytes(memoryOf(daemon.pid, 'VmHWM'));
    const requests = (await source.count()) - before;
    await daemon.stop();
    return {
      group: 'small',
      rows: [[`peak memory, all of three sinks down for ${seconds} s`, `${peakMiB} MiB`]],
      judgements: [
        judge({ what: 'all sinks down: peak memory', value: peakMiB, bound: ['≤', 150], unit: ' MiB', digits: 1 }),
      ],
      figures: { down: { seconds, requests, peakMiB } },
    };
  },
};
