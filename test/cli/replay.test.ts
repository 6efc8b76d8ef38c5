import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetterSource } from '../../src/cli/replay/dead-letter-source.ts';
import type { Cursor } from '../../src/event/event.ts';
import { emptyPage, RangeSource } from '../../src/source/range.ts';
import type { Source } from '../../src/source/source.ts';
import { DeadLetterFile } from '../../src/state/file/dead-letter-files.ts';
import { auditEvent } from '../support/audit-events.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'replay-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const signals = { graceful: new AbortController().signal, forced: new AbortController().signal };
const textOf = (id: Cursor, more = '') => `{"id":${id}${more}}`;

/** Sets events aside as separate runs would: nothing is known to be there already. */
async function setAside(...events: (readonly [Cursor, string?])[]): Promise<string> {
  for (const [id, more] of events) {
    const file = new DeadLetterFile({ directory, name: 'a', now: () => 1_700_000_000_000 });
    await file.append({ sink: 'a', reason: 'malformed: no', event: auditEvent(textOf(id, more), id) });
  }
  return join(directory, 'a.ndjson');
}

describe('a dead letter as a source', () => {
  it('gives each event once, in order of id, from pages that begin where the last ended', async () => {
    const ids = Array.from({ length: 1010 }, (_, index) => BigInt((index * 7) % 1010) + 9007199254740993n);
    const path = join(directory, 'a.ndjson');
    const file = new DeadLetterFile({ directory, name: 'a', now: () => 0 });
    for (const id of [...ids, ...ids.slice(0, 3)])
      await file.append({ sink: 'a', reason: 'no', event: auditEvent(textOf(id), id) });
    await using source = await DeadLetterSource.open(path, 0n, undefined);
    expect(source).toMatchObject({ size: 1010, replaced: 0, unreadable: 0 });
    const found: Cursor[] = [];
    for (let after = 0n; ; ) {
      const page = await source.page(after);
      found.push(...page.events.map(({ id }) => id));
      const last = page.events.at(-1);
      if (last === undefined) break;
      expect(last.text.toString()).toBe(textOf(last.id));
      after = last.id;
    }
    expect(found).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)));
  }, 60_000);

  it('tells of lines about one id with two texts, and gives the last', async () => {
    const path = await setAside([3n, ',"a":1'], [1n], [3n, ',"a":2'], [1n]);
    await using source = await DeadLetterSource.open(path, 0n, undefined);
    expect(source).toMatchObject({ size: 2, replaced: 1 });
    expect((await source.page(1n)).events.map(({ text }) => text.toString())).toEqual([textOf(3n, ',"a":2')]);
  });

  it('is empty where there is no file, and keeps to its range', async () => {
    await using none = await DeadLetterSource.open(join(directory, 'none.ndjson'), 0n, undefined);
    expect(none.size).toBe(0);
    const path = await setAside([1n], [2n], [3n], [4n]);
    await using source = await DeadLetterSource.open(path, 1n, 3n);
    expect([source.first, source.last]).toEqual([2n, 3n]);
  });
});

describe('a range of a log', () => {
  const log = [1n, 2n, 5n, 8n, 9n];
  const asked: Cursor[] = [];
  const source: Source = {
    trouble: 'waiting',
    peek: async (after) => ({ ...emptyPage(after), events: above(after).slice(0, 1) }),
    async page(after) {
      asked.push(after);
      return { ...emptyPage(after), events: above(after).slice(0, 2) };
    },
  };
  const above = (after: Cursor) => log.filter((id) => id > after).map((id) => auditEvent(textOf(id), id));

  it('ends at its last id, or before it where no event has that, and asks for nothing beyond', async () => {
    let turns = 0;
    const turn = async () => void turns++;
    for (const [until, expected] of [
      [5n, [1n, 2n, 5n]],
      [7n, [1n, 2n, 5n]],
    ] as const) {
      const range = new RangeSource({ source, until, turn });
      asked.length = 0;
      turns = 0;
      const found: Cursor[] = [];
      for (let after = 0n; ; ) {
        const page = await range.page(after, 0, signals);
        const last = page?.events.at(-1);
        if (page === undefined || last === undefined) break;
        found.push(...page.events.map(({ id }) => id));
        after = last.id;
      }
      expect(found).toEqual(expected);
      expect(asked.every((after) => after < until)).toBe(true);
      expect(turns).toBe(asked.length);
      expect((await range.peek(5n, signals))?.events).toEqual([]);
      expect(range.trouble).toBe('waiting');
    }
  });
});
