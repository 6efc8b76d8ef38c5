import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetterFile } from '../../../src/state/file/dead-letter-files.ts';
import { linesOf, readLine } from '../../../src/state/file/dead-letter-lines.ts';
import { openForReading } from '../../../src/state/file/durable.ts';
import { auditEvent } from '../../support/audit-events.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dead-letter-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const file = () => join(directory, 'splunk.ndjson');
const deadLetter = () => new DeadLetterFile({ directory, name: 'splunk', now: () => 1_700_000_000_000 });

async function lines(): Promise<{ at: number; text: string }[]> {
  const handle = await openForReading(file());
  if (handle === undefined) return [];
  await using _ = handle;
  const found: { at: number; text: string }[] = [];
  for await (const { at, bytes } of linesOf(handle)) found.push({ at, text: bytes.toString('utf8') });
  return found;
}

describe('the lines of a dead letter', () => {
  it('are split at LF only, wherever the reads end, and a torn last one is left out', async () => {
    const texts = fc.array(fc.oneof(fc.string(), fc.constant('x'.repeat(300_000)), fc.constant('\u2028\u2029\r')), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(texts, fc.constantFrom('', 'torn'), async (given, torn) => {
        const clean = given.map((text) => text.replaceAll('\n', ' '));
        const whole = clean.map((text) => `${text}\n`).join('');
        await writeFile(file(), whole + torn);
        const found = await lines();
        expect(found.map(({ text }) => text)).toEqual(clean.map((text) => Buffer.from(text).toString('utf8')));
        const bytes = await readFile(file());
        for (const { at, text } of found)
          expect(bytes.subarray(at, at + Buffer.byteLength(text)).toString('utf8')).toBe(text);
      }),
      { numRuns: 40 },
    );
  });

  it('return the event byte for byte, with all digits of its id', async () => {
    const text = '{ "id" : 9007199254740993, "n": 1.0, "s": "a\u2028b\u2029", "id ":2 }';
    const letter = deadLetter();
    await letter.open(0n);
    await letter.append({ sink: 'splunk', reason: 'malformed: no', event: auditEvent(text, 9007199254740993n) });
    const [line] = await lines();
    const read = readLine(Buffer.from(line?.text ?? ''));
    expect(read?.id).toBe(9007199254740993n);
    expect(read?.text.toString('utf8')).toBe(text);
    expect(read?.atMs).toBe(1_700_000_000_000);
  });

  it('are no events if they were not written here', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '{"event":1}',
      '{"event":{}}',
      '{"event":{"id":"x"}}',
      '{"event":{"id":1.5}}',
    ])
      expect(readLine(Buffer.from(text)), text).toBeUndefined();
  });
});

it('an event with a U+2028 in it is not stored twice after a crash', async () => {
  const refusal = { sink: 'splunk', reason: 'malformed: no', event: auditEvent('{"id":5,"s":"a\u2028b"}', 5n) };
  const before = deadLetter();
  await before.open(0n);
  await before.append(refusal);
  const after = deadLetter();
  await after.open(4n);
  await after.append(refusal);
  expect(await lines()).toHaveLength(1);
});
