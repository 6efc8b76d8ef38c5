import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AuditEvent, auditEvent, type Cursor, type Encoded } from '../../src/event/event.ts';
import { IdRanges } from '../../src/event/id-ranges.ts';
import { leafHash } from '../../src/evidence/merkle.ts';
import type { EventStatus } from '../../src/evidence/unsealed.ts';
import { UnsealedEvents } from '../../src/pipeline/unsealed-events.ts';
import { MemoryStore } from '../../src/state/memory.ts';

const eventOf = (id: number): AuditEvent =>
  auditEvent({ id: BigInt(id), text: Buffer.from(`{"id":${id}}`), receivedAtMs: 0 });
const encodedOf = (id: number): Encoded => {
  const event = eventOf(id);
  return { event, redacted: event, record: id % 3 === 0 ? Buffer.from(`record ${id}`) : event.text };
};

interface Known {
  status: EventStatus;
  isResent: boolean;
  isStored: boolean;
}

type Step = {
  readonly kind: 'sent' | 'delivered' | 'filtered' | 'refused' | 'deadLettered' | 'take' | 'save' | 'restart';
  readonly ids: readonly number[];
};

const ids = fc
  .uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 25 })
  .map((all) => all.sort((a, b) => a - b));
const step = fc.record({
  kind: fc.constantFrom(
    'sent',
    'sent',
    'delivered',
    'delivered',
    'filtered',
    'refused',
    'deadLettered',
    'take',
    'save',
    'restart',
  ),
  ids,
}) as fc.Arbitrary<Step>;

describe('unsealed events', () => {
  it('are what a plain map of events would hold, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const store = new MemoryStore({ name: 'acme', origin: 'https://acme' }, () => 0).seals('splunk');
        const open = (after: Cursor) =>
          new UnsealedEvents({ store, after, recordOf: ({ record }) => record, mostInFlight: () => 2 });
        let events = open(0n);
        let after = 0;
        const model = new Map<number, Known>();
        const mark = (id: number, status: EventStatus) => {
          const known = model.get(id);
          model.set(id, { status, isResent: known?.isResent ?? false, isStored: false });
        };
        for (const { kind, ids: given } of steps) {
          const above = given.filter((id) => id > after);
          if (kind === 'sent') {
            for (const id of above) model.set(id, { status: 'sent', isResent: model.has(id), isStored: false });
            events.sent(given.map(encodedOf));
          } else if (kind === 'delivered') {
            const unknown = above.filter((id) => !model.has(id));
            for (const id of above) if (model.get(id)?.status === 'sent') mark(id, 'delivered');
            expect(events.delivered(given.map(BigInt))).toEqual(unknown.map(BigInt));
            // They count as sent again: not part of this model.
            if (unknown.length > 0) return;
          } else if (kind === 'filtered') {
            for (const id of above) mark(id, 'filtered');
            events.filtered(given.map(eventOf));
          } else if (kind === 'deadLettered') {
            const [id = 0] = given;
            if (id > after) mark(id, 'deadLettered');
            events.deadLettered(eventOf(id));
          } else if (kind === 'refused') {
            for (const id of given) if (model.get(id)?.status === 'sent' && !model.get(id)?.isResent) model.delete(id);
            events.refused(given.map(encodedOf));
          } else if (kind === 'take') {
            after = Math.max(after, given[0] ?? 0);
            const expected = [...model].filter(([id]) => id <= after).sort(([a], [b]) => a - b);
            for (const [id] of expected) model.delete(id);
            const taken = events.takeUpTo(BigInt(after)).flatMap((run) =>
              run.ids.map((id, at) => ({
                id,
                status: run.status,
                source: run.sources[at],
                record: (run.records ?? run.sources)[at],
              })),
            );
            const done = expected.filter(([, { status }]) => status !== 'sent');
            expect(taken.map(({ id, status }) => [Number(id), status])).toEqual(
              done.map(([id, { status }]) => [id, status]),
            );
            for (const { id, status, source, record } of taken) {
              const encoded = encodedOf(Number(id));
              expect(source).toBe(leafHash(id, encoded.event.text));
              if (status === 'delivered') expect(record).toBe(leafHash(id, encoded.record));
            }
          } else {
            await events.save();
            for (const known of model.values()) if (known.status !== 'sent') known.isStored = true;
            if (kind === 'save') continue;
            // The checkpoint counts what is done; what was only sent is not stored.
            const done = [...model].filter(([, { status }]) => status !== 'sent').map(([id]) => BigInt(id));
            const doneIds = new IdRanges();
            for (const id of done) doneIds.add(id);
            events = open(BigInt(after));
            await events.load(doneIds);
            for (const [id, { status }] of model) if (status === 'sent' && !events.has(BigInt(id))) model.delete(id);
          }
          for (let id = after + 1; id <= 60; id++) expect(events.has(BigInt(id)), `${kind} ${id}`).toBe(model.has(id));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('that were sent are stored if a later process may learn that they arrived, and count as done with the checkpoint', async () => {
    const store = new MemoryStore({ name: 'acme', origin: 'https://acme' }, () => 0).seals('splunk');
    const open = () =>
      new UnsealedEvents({ store, after: 0n, recordOf: ({ record }) => record, mostInFlight: () => 2 });
    const first = open();
    const batch = [1, 2, 3, 4].map(encodedOf);
    first.sent(batch);
    await first.save();
    expect(await store.unsealed()).toEqual([]);
    first.storeSent(batch);
    await first.save();
    const second = open();
    await second.load(IdRanges.of([[2n, 3n]]));
    expect(second.delivered([1n])).toEqual([]);
    expect(second.takeUpTo(4n).flatMap(({ ids: taken, status }) => taken.map((id) => [id, status]))).toEqual([
      [1n, 'delivered'],
      [2n, 'delivered'],
      [3n, 'delivered'],
    ]);
  });

  it('are stored by the next save if one fails, split or not', async () => {
    const store = new MemoryStore({ name: 'acme', origin: 'https://acme' }, () => 0).seals('splunk');
    const options = { store, after: 0n, recordOf: ({ record }: Encoded) => record, mostInFlight: () => 2 };
    const events = new UnsealedEvents(options);
    events.filtered([1, 2, 3, 4].map(eventOf));
    const add = store.addUnsealed.bind(store);
    store.addUnsealed = async () => {
      events.takeUpTo(2n);
      throw new Error('disk full');
    };
    await expect(events.save()).rejects.toThrow('disk full');
    store.addUnsealed = add;
    await events.save();
    const later = new UnsealedEvents({ ...options, after: 2n });
    await later.load(IdRanges.of([[3n, 4n]]));
    expect([3n, 4n].map((id) => later.has(id))).toEqual([true, true]);
  });

  it('are announced as sent again: the second time, after a death, and if their hashes are missing', () => {
    const store = new MemoryStore({ name: 'acme', origin: 'https://acme' }, () => 0).seals('splunk');
    const events = new UnsealedEvents({ store, after: 0n, recordOf: ({ record }) => record, mostInFlight: () => 2 });
    events.doubt();
    events.sent([1, 2].map(encodedOf));
    events.sent([3, 4].map(encodedOf));
    events.sent([4].map(encodedOf));
    expect(events.delivered([1n, 2n, 3n, 4n, 5n])).toEqual([5n]);
    events.sent([5].map(encodedOf));
    events.delivered([5n]);
    const taken = events.takeUpTo(9n).map(({ ids: taken, resent }) => [...taken, resent]);
    expect(taken).toEqual([
      [1n, 2n, 'restart'],
      [3n, undefined],
      [4n, 'sent again'],
      [5n, 'restart'],
    ]);
  });
});
