import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median } from '../figures.ts';
import { judge } from '../judgement.ts';
import { program, startPlain } from '../process.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { type Bench, stdoutSink } from '../workspace.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const executable = path('../../dist/qasphere-siem-forwarder');

/** From the spawn to the first byte of the first record on standard output. */
async function firstRecord(bench: Bench, command: string, args: readonly string[]) {
  const source = await bench.source(1);
  const times: number[] = [];
  for (let round = 0; round < 2 * bench.settings.rounds + 1; round++) {
    const started = startPlain(command, [...args, 'once', '-c', bench.configure(source, [stdoutSink])]);
    times.push(await started.firstByteMs);
    const { lines } = await started.ended;
    if (lines !== 1) throw new Error(`${lines} of 1 record arrived`);
  }
  return { medianMs: Math.round(median(times)), bestMs: Math.round(Math.min(...times)), rounds: times.length };
}

async function outcome(bench: Bench, what: string, command: string, args: readonly string[]): Promise<Outcome> {
  const times = await firstRecord(bench, command, args);
  const title = `start to first record, ${what}`;
  return {
    group: 'small',
    rows: [[`${title}, median of ${times.rounds}`, `${times.medianMs} ms (best ${times.bestMs} ms)`]],
    judgements: [judge({ what: title, value: times.medianMs, bound: ['<', 500], unit: ' ms' })],
    figures: { [what]: times },
  };
}

export const start: Scenario = {
  name: 'start',
  run: (bench) => outcome(bench, 'dist/main.js', process.execPath, [program]),
};

/** Rebuilds the executable if one exists, because dist/ may be older than the sources, or if the settings ask for it. */
export const startExecutable: Scenario = {
  name: 'start-executable',
  async run(bench) {
    if (!existsSync(executable) && !bench.settings.binary)
      return {
        group: 'small',
        rows: [],
        figures: {},
        skipped: ['start of the single executable: not built; BENCH_BINARY=1 builds it'],
      };
    execFileSync(process.execPath, [path('../../packaging/build-binary.ts')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return outcome(bench, 'single executable', executable, []);
  },
};
