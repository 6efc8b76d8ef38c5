import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { generatedLog } from '../../src/testing/simulator/events.ts';

/** Writes the first `events` events of the simulated log to a file, one a line. */
export async function writeEvents(file: string, events: number): Promise<void> {
  const log = generatedLog({ seed: 1, events, rate: 0, epochMs: Date.now(), now: Date.now });
  const out = createWriteStream(file);
  for (let index = 0; index < events; ) {
    let lines = '';
    for (const end = Math.min(events, index + 1000); index < end; index++) lines += `${log.textAt(index)}\n`;
    if (!out.write(lines)) await once(out, 'drain');
  }
  out.end();
  await finished(out);
}
