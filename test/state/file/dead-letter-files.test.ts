import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeadLetterFile } from '../../../src/state/file/dead-letter-files.ts';
import { auditEvent } from '../../support/audit-events.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dead-letter-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const path = () => join(directory, 'splunk.ndjson');
const opened = async () => {
  const file = new DeadLetterFile({ directory, name: 'splunk', now: () => 1_700_000_000_000 });
  await file.open(0n);
  return file;
};
const refusal = (text: string) => ({
  sink: 'splunk',
  reason: 'code 6',
  event: auditEvent(text, BigInt(JSON.parse(text).id)),
});
const textsIn = async () =>
  (await readFile(path(), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.stringify(JSON.parse(line).event));

describe('a dead letter', () => {
  it('holds an event once, also where a crash made it come again', async () => {
    await (await opened()).append(refusal('{"id":2,"action":"a"}'));
    await (await opened()).append(refusal('{"id":2,"action":"a"}'));
    await (await opened()).append(refusal('{"id":3,\n"action":"b"}'));
    await (await opened()).append(refusal('{"id":3,\n"action":"b"}'));
    expect(await textsIn()).toEqual(['{"id":2,"action":"a"}', '{"id":3,"action":"b"}']);
  });

  it('takes another event with an id that it holds already, as another tenant may have', async () => {
    await (await opened()).append(refusal('{"id":2,"action":"a"}'));
    const again = await opened();
    await again.append(refusal('{"id":2,"action":"of another tenant"}'));
    await again.append(refusal('{"id":2,"action":"of a third"}'));
    expect(await textsIn()).toEqual([
      '{"id":2,"action":"a"}',
      '{"id":2,"action":"of another tenant"}',
      '{"id":2,"action":"of a third"}',
    ]);
  });

  it('syncs what an earlier process wrote before it takes that for kept', async () => {
    await writeFile(path(), '{"at":"2026-11-29T00:00:00.000Z","sink":"splunk","reason":"x","event":{"id":2}}\n');
    await using some = await open(path());
    const sync = vi.spyOn(Object.getPrototypeOf(some), 'sync');
    const file = await opened();
    expect(sync).toHaveBeenCalledTimes(1);
    await file.append(refusal('{"id":2}'));
    expect(sync).toHaveBeenCalledTimes(1);
    sync.mockRestore();
    expect(await textsIn()).toEqual(['{"id":2}']);
  });

  it('holds whole lines whoever writes at the same time', async () => {
    const file = await opened();
    const texts = Array.from(
      { length: 40 },
      (_, id) => `{"id":${id + 1},"more":"${'x'.repeat(id % 2 === 0 ? 3 : 300_000)}"}`,
    );
    await Promise.all(texts.map((text) => file.append(refusal(text))));
    expect(await textsIn()).toEqual(texts);
  });
});
