import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointFiles } from '../../src/state/file/checkpoint-files.ts';
import type { Checkpoint } from '../../src/state/store.ts';
import { type Row, Tally } from '../engine/table.ts';
import { sourceModule } from '../engine/workspace.ts';

const source = 'https://acme.eu1.qasphere.com';
const sink = 'sink';
const checkpoint = (after: bigint): Checkpoint => ({
  sink,
  source,
  after,
  delivered: [
    [after + 2n, after + 9n],
    [after + 12n, after + 12n],
  ],
  refusedInRow: 0,
});

/**
 * Every checkpoint file cut at every byte and each of its bits flipped: what is loaded is the newest or the one before, or
 * the start is refused; never anything else, and never an empty state, which would start from the beginning.
 */
export async function byteRow(scenario: string): Promise<Row> {
  const { CheckpointFiles: Store } = (await import(sourceModule('state/file/checkpoint-files.ts'))) as {
    CheckpointFiles: typeof CheckpointFiles;
  };
  const tally = new Tally(scenario, '0');
  const directory = mkdtempSync(join(tmpdir(), 'torture-bytes-'));
  try {
    mkdirSync(join(directory, 'c'), { recursive: true });
    const store = new Store({ directory: join(directory, 'c'), source, emit: () => {}, now: Date.now });
    const [old, young] = [checkpoint(1000n), checkpoint(2000n)];
    await store.save(old);
    await store.save(young);
    const paths = [join(directory, 'c', `${sink}.json`), join(directory, 'c', `${sink}.previous.json`)];
    for (const [index, path] of paths.entries()) {
      const whole = readFileSync(path);
      for (const damaged of damages(whole)) {
        tally.run();
        writeFileSync(path, damaged);
        const found = await store.load(sink).catch((error: Error) => error);
        const good = index === 0 ? [old.after, young.after] : [young.after];
        if (found === undefined)
          tally.violation('a damaged checkpoint counts as missing: everything would be sent again');
        else if (found instanceof Error && !/version/.test(found.message))
          tally.violation(`one damaged file of two stops the start: ${found.message.slice(0, 80)}`);
        else if (!(found instanceof Error) && !good.includes(found.after))
          tally.violation(`a damaged checkpoint is believed: ${found.after}`);
        else if (!(found instanceof Error) && found.delivered.some(([from]) => !rangesOf(found.after).includes(from)))
          tally.violation('a damaged list of delivered ids is believed');
      }
      writeFileSync(path, whole);
    }
    for (const path of paths) writeFileSync(path, readFileSync(path).subarray(0, 40));
    const both = await store.load(sink).catch((error: Error) => error);
    if (!(both instanceof Error)) tally.violation('two damaged checkpoints do not stop the start');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return tally.row();
}

const rangesOf = (after: bigint): bigint[] => checkpoint(after).delivered.map(([from]) => from);

function* damages(whole: Buffer): Generator<Buffer> {
  for (let at = 0; at < whole.length; at++) yield whole.subarray(0, at);
  for (let at = 0; at < whole.length; at++)
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      yield flipped;
    }
}
