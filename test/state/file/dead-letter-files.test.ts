import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

async function removeLast(): Promise<void> {
  const lines = (await readFile(path(), 'utf8')).trimEnd().split('\n');
  await writeFile(path(), `${lines.slice(0, -1).join('\n')}\n`);
}

describe('a dead letter file', () => {
  it('that is a directory is named with what to do', async () => {
    await mkdir(path());
    await expect(opened()).rejects.toThrow(`${path()} is not a regular file: move it away`);
  });

  it('holds an event once, if it comes again after a crash', async () => {
    await (await opened()).append(refusal('{"id":2,"action":"a"}'));
    await (await opened()).append(refusal('{"id":2,"action":"a"}'));
    await (await opened()).append(refusal('{"id":3,\n"action":"b"}'));
    await (await opened()).append(refusal('{"id":3,\n"action":"b"}'));
    expect(await textsIn()).toEqual(['{"id":2,"action":"a"}', '{"id":3,"action":"b"}']);
  });

  it('takes another event with an id that it holds already: another tenant may have it', async () => {
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

  it('syncs what an earlier process wrote before it relies on it', async () => {
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

  it('holds whole lines if several appends run at the same time', async () => {
    const file = await opened();
    const texts = Array.from(
      { length: 40 },
      (_, id) => `{"id":${id + 1},"more":"${'x'.repeat(id % 2 === 0 ? 3 : 300_000)}"}`,
    );
    await Promise.all(texts.map((text) => file.append(refusal(text))));
    expect(await textsIn()).toEqual(texts);
  });

  it('knows what it held before a crash, however few ids it may look up at a time', async () => {
    const ids = Array.from({ length: 30 }, (_, index) => ((index * 7) % 30) + 1);
    for (const id of ids) await (await opened()).append(refusal(`{"id":${id}}`));
    const orders = [ids.toSorted((a, b) => a - b), ids.toSorted((a, b) => b - a), ids];
    for (const windowIds of [1, 7, 100])
      for (const order of orders) {
        const file = new DeadLetterFile({ directory, name: 'splunk', now: () => 0, windowIds });
        await file.open(0n);
        for (const id of order) await file.append(refusal(`{"id":${id}}`));
        expect(await file.count(), `windows of ${windowIds}`).toBe(30);
        await file.append(refusal(`{"id":5,"action":"of another tenant"}`));
        expect(await file.count()).toBe(31);
        await removeLast();
      }
  });

  it('does not look up ids up to the cursor it was opened with: they are done', async () => {
    await (await opened()).append(refusal('{"id":2}'));
    const file = new DeadLetterFile({ directory, name: 'splunk', now: () => 0 });
    await file.open(2n);
    await file.append(refusal('{"id":2}'));
    expect(await textsIn()).toEqual(['{"id":2}', '{"id":2}']);
  });

  it('with 200,000 lines above a cursor that was set back needs no more memory than with few', async () => {
    const line = (id: number) =>
      `{"at":"2026-11-29T00:00:00.000Z","sink":"splunk","reason":"x","event":{"id":${id}}}\n`;
    await writeFile(path(), Array.from({ length: 200_000 }, (_, index) => line(index + 1)).join(''));
    const module = fileURLToPath(new URL('../../../src/state/file/dead-letter-files.ts', import.meta.url));
    const program = `
      const { DeadLetterFile } = await import(${JSON.stringify(module)});
      const file = new DeadLetterFile({ directory: ${JSON.stringify(directory)}, name: 'splunk', now: Date.now });
      gc();
      const before = process.memoryUsage().heapUsed;
      await file.open(0n);
      gc();
      console.log(process.memoryUsage().heapUsed - before, await file.count());`;
    const args = ['--expose-gc', '--input-type=module', '--eval', program];
    const [bytes, count] = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split(' ').map(Number);
    expect(count).toBe(200_000);
    expect(bytes).toBeLessThan(8 * 1024 ** 2);
  });
});
