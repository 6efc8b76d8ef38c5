import { setTimeout as sleep } from 'node:timers/promises';
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

/** The daemon as users run it. */
export const startDaemon = (bench: Bench, source: Served, sinks: readonly string[], more: string): Started =>
  startPlain(process.execPath, [program, 'run', '-c', bench.configure(source, sinks, more)]);

/** With nothing to do: every 15 s a request, three sinks that wait. */
export const idle: Scenario = {
  name: 'idle',
  async run(bench) {
    const events = 1000;
    const seconds = bench.settings.idleSeconds;
    const source = await bench.source(events);
    using hec = await serve({ kind: 'hec' });
    using tcp = await serve({ kind: 'tcp' });
    const sinks = [hecSink(hec), syslogSink(tcp), stdoutSink];
    const daemon = startDaemon(bench, source, sinks, 'schedule: "*/15 * * * * *"');
    await until(async () => (await hec.count()) === events && (await tcp.count()) === events, daemon);
    // What went over TCP is confirmed after ten seconds without a close, and by then what the start took has been given back;
    // the poll after that compiles some of it again.
    await sleep(20_000);
    const [cpuBefore, before, requestsBefore] = [exactCpuMsOf(daemon.pid), performance.now(), await source.count()];
    await sleep(seconds * 1000);
    const shareOfCore = (exactCpuMsOf(daemon.pid) - cpuBefore) / (performance.now() - before);
    const polls = (await source.count()) - requestsBefore;
    const residentMiB = mebibytes(memoryOf(daemon.pid, 'VmRSS'));
    await daemon.stop();
    const cpu = (shareOfCore * 100).toFixed(3);
    return {
      group: 'small',
      rows: [[`idle: every 15 s, three sinks, over ${seconds} s`, `${cpu} % of a core, ${residentMiB} MiB`]],
      judgements: [
        judge({ what: 'idle: share of a core', value: shareOfCore * 100, bound: ['<', 0.2], unit: ' %', digits: 2 }),
        judge({ what: 'idle: memory', value: residentMiB, bound: ['<', 90], unit: ' MiB', digits: 1 }),
      ],
      figures: { idle: { seconds, polls, shareOfCore, residentMiB } },
    };
  },
};

/** Everything waits at the API and no sink takes anything: one refuses to connect, one is busy, one never answers. */
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
        judge({ what: 'all sinks down: peak memory', value: peakMiB, bound: ['<', 120], unit: ' MiB', digits: 1 }),
      ],
      figures: { down: { seconds, requests, peakMiB } },
    };
  },
};
