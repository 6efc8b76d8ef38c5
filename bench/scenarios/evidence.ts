import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { newKey } from '../../src/evidence/keys.ts';
import { figuresOf } from '../figures.ts';
import { judge } from '../judgement.ts';
import { type Run, runProgram, serve } from '../process.ts';
import type { Scenario } from '../scenario.ts';
import { counted, hecSink } from '../workspace.ts';

/** CPU an event that seals may add, percent. */
const mostPercent = 10;
/** The seal in progress in a checkpoint, bytes. */
const mostStateBytes = 4096;

/** What seals cost: the same import with and without them, in turns. */
export const evidence: Scenario = {
  name: 'evidence',
  async run(bench) {
    const events = bench.settings.fewer;
    const source = await bench.source(events);
    using hec = await serve({ kind: 'hec' });
    const keyFile = bench.newPath();
    writeFileSync(keyFile, newKey().privatePem, { mode: 0o600 });
    const [without, sealed]: [Run[], Run[]] = [[], []];
    let stateBytes = 0;
    for (let round = 0; round < bench.settings.rounds; round++)
      for (const [runs, block] of [
        [without, ''],
        [sealed, `evidence: { keyFile: "${keyFile}", inSink: false }`],
      ] as const) {
        const config = bench.configure(source, [hecSink(hec)], '', block);
        runs.push(await counted(() => runProgram(['once', '-c', config], true), events, hec));
        if (block !== '') stateBytes = Math.max(stateBytes, sealBytes(join(dirname(config), 'state/checkpoints')));
      }
    const [off, on] = [figuresOf(without, events), figuresOf(sealed, events)];
    const microseconds = ({ eventsPerMovingCpuSecond }: typeof on) => 1e6 / eventsPerMovingCpuSecond;
    const percent = (microseconds(on) / microseconds(off) - 1) * 100;
    return {
      group: 'small',
      rows: [
        [
          'evidence: CPU an event to HEC, gzip, with seals and without',
          `${microseconds(on).toFixed(1)} µs and ${microseconds(off).toFixed(1)} µs`,
        ],
      ],
      judgements: [
        judge({
          what: 'evidence: more CPU an event to HEC, gzip',
          value: percent,
          bound: ['≤', mostPercent],
          unit: ' %',
          digits: 1,
        }),
        judge({
          what: 'evidence: state in the checkpoint',
          value: stateBytes,
          bound: ['<', mostStateBytes],
          unit: ' bytes',
        }),
      ],
      figures: { on: { events, ...on }, off: { events, ...off }, cost: { percent, stateBytes } },
    };
  },
};

/** The longest member `seal` of the checkpoints in a directory. */
function sealBytes(directory: string): number {
  return Math.max(
    ...readdirSync(directory).map((name) => {
      const { seal } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as { seal?: unknown };
      return seal === undefined ? 0 : JSON.stringify(seal).length;
    }),
  );
}
