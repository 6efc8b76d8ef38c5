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
const letters = () => new DeadLetterFile({ directory, name: 'a', now: () => 0, windowIds: 100 });
const textOf = (id: Cursor, more = '') => `{"id":${id}${more}}`;

/** Rejects events as separate runs would: none knows what is stored already. */
async function reject(...events: (readonly [Cursor, string?])[]): Promise<void> {
  for (const [id, more] of events) {
    await letters().append({ sink: 'a', reason: 'malformed: no', event: auditEvent(textOf(id, more), id) });
  }
}

describe('a dead letter as a source', () => {
  it('returns each event once, in order of id, in pages that begin where the last ended', async () => {
    const ids = Array.from({ length: 1010 }, (_, index) => BigInt((index * 7) % 1010) + 9007199254740993n);
    for (const id of [...ids, ...ids.slice(0, 3)])
      await letters().append({ sink: 'a', reason: 'no', event: auditEvent(textOf(id), id) });
    expect(await letters().summary({ after: 0n })).toMatchObject({ events: 1010, replaced: 0, unreadable: 0 });
    await using source = new DeadLetterSource(letters(), 2n ** 60n);
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

  it('counts lines for one id with two texts, and returns the last', async () => {
    await reject([3n, ',"a":1'], [1n], [3n, ',"a":2'], [1n]);
    expect(await letters().summary({ after: 0n })).toMatchObject({ events: 2, replaced: 1 });
    await using source = new DeadLetterSource(letters(), 9n);
    expect((await source.page(1n)).events.map(({ text }) => text.toString())).toEqual([textOf(3n, ',"a":2')]);
  });

  it('is empty without a file, and stays within its range', async () => {
    await using none = new DeadLetterSource(letters(), 9n);
    expect((await none.page(0n)).events).toEqual([]);
    await reject([1n], [2n], [3n], [4n]);
    await using source = new DeadLetterSource(letters(), 3n);
    expect((await source.page(1n)).events.map(({ id }) => id)).toEqual([2n, 3n]);
    expect((await source.peek(2n)).events.map(({ id }) => id)).toEqual([3n]);
  });
});

describe('a range of a log', () => {
  const log = [1n, 2n, 5n, 8n, 9n];
  const asked: Cursor[] = [];
  const source: Source = {
    lastError: 'waiting',
    peek: async (after) => ({ ...emptyPage(after), events: above(after).slice(0, 1) }),
    async page(after) {
      asked.push(after);
      return { ...emptyPage(after), events: above(after).slice(0, 2) };
    },
  };
  const above = (after: Cursor) => log.filter((id) => id > after).map((id) => auditEvent(textOf(id), id));

  it('ends at its last id, or before it if no event has that id, and requests nothing beyond', async () => {
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
      expect(range.lastError).toBe('waiting');
    }
  });
});
