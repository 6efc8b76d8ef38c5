import { describe, expect, it } from 'vitest';
import { readPendingAcks } from '../../../src/sinks/splunk-hec/pending-acks.ts';
import type { Fault } from '../../support/hec-server.ts';
import { acknowledging, alive, collector, delivered, idsOf, saidOf, sent } from '../../support/hec-sink.ts';
import { batchOf, recordOf, textOf } from '../../support/sink-parts.ts';

/** Acknowledges nothing, and loses no acknowledgement, until `hear` is called. */
const deaf = () => {
  let hears = false;
  return {
    fault: ({ kind }: { kind: string }): Fault | undefined =>
      kind === 'ack' && !hears ? { status: 200, body: { acks: {} } } : undefined,
    hear() {
      hears = true;
    },
  };
};

describe('after a restart', () => {
  it('batches that were pending are asked about on their old channel, while new ones are sent on a new one', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    await sent(at.sink, batchOf(1, 3));
    await sent(at.sink, {
      records: [recordOf(textOf(5)), recordOf(textOf(7)), recordOf(textOf(8)), recordOf(textOf(9))],
    });
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();

    const next = at.reopen(record);
    expect(next.resumed?.map(({ ranges }) => ranges)).toEqual([
      [[1n, 3n]],
      [
        [5n, 5n],
        [7n, 9n],
      ],
    ]);
    const fresh = await sent(next, batchOf(10));
    ears.hear();
    expect(await Promise.all((next.resumed ?? []).map(({ confirmed }) => confirmed))).toEqual([
      { kind: 'accepted' },
      { kind: 'accepted' },
    ]);
    expect(await fresh.confirmed).toEqual({ kind: 'accepted' });
    const channels = at.hec.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel);
    expect(channels[1]).toBe(channels[0]);
    expect(channels[2]).not.toBe(channels[0]);
    expect(next.pendingAcks?.()).toBeUndefined();
    expect(idsOf(at.hec)).toEqual([1, 2, 3, 5, 7, 8, 9, 10]);
  });

  it('they are asked about at once', async () => {
    const ears = deaf();
    await using at = await acknowledging({
      server: { fault: ears.fault },
      interval: { firstMs: 600_000, longestMs: 600_000, hurryMs: 600_000 },
    });
    await sent(at.sink, batchOf(1));
    ears.hear();
    const next = at.reopen(at.sink.pendingAcks?.());
    expect(await next.resumed?.[0]?.confirmed).toEqual({ kind: 'accepted' });
  });

  it('they are asked about until ackTimeout after they were sent, by whichever process', async () => {
    let now = Date.now();
    await using at = await acknowledging(
      { server: { ackAfter: Number.POSITIVE_INFINITY }, deps: { now: () => now } },
      300_000,
    );
    await sent(at.sink, batchOf(1));
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();
    now += 300_001;
    const asked = at.hec.requests.length;
    const next = at.reopen(record);
    expect(await next.resumed?.[0]?.confirmed).toMatchObject({ kind: 'retry', reason: 'timeout' });
    expect(at.hec.requests.length - asked).toBe(1);
  });

  it('a batch that was acknowledged meanwhile is delivered, however long no process ran', async () => {
    let now = Date.now();
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault }, deps: { now: () => now } }, 300_000);
    await sent(at.sink, batchOf(1));
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();
    now += 86_400_000;
    ears.hear();
    expect(await at.reopen(record).resumed?.[0]?.confirmed).toEqual({ kind: 'accepted' });
  });

  it('a clock that was set back does not make the wait longer', async () => {
    let now = Date.now();
    await using at = await acknowledging(
      { server: { ackAfter: Number.POSITIVE_INFINITY }, deps: { now: () => now } },
      60,
    );
    await sent(at.sink, batchOf(1));
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();
    now -= 86_400_000;
    expect(await at.reopen(record).resumed?.[0]?.confirmed).toMatchObject({ kind: 'retry', reason: 'timeout' });
  });

  it('and another one, everything still pending is asked about again', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    await sent(at.sink, batchOf(1));
    const second = at.reopen(at.sink.pendingAcks?.());
    await sent(second, batchOf(2));
    const third = at.reopen(second.pendingAcks?.());
    await at.sink[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    expect(third.resumed?.map(({ ranges }) => ranges)).toEqual([[[1n, 1n]], [[2n, 2n]]]);
    // The polls of the closed sinks are answered before the collector acknowledges anything: it reports that only once.
    for (let round = 0; round < 3; round++) await fetch(`${at.hec.url}/services/collector/health`);
    ears.hear();
    expect(await Promise.all((third.resumed ?? []).map(({ confirmed }) => confirmed))).toEqual([
      { kind: 'accepted' },
      { kind: 'accepted' },
    ]);
  });

  it('polls carry the cookies of the old channel, so that they reach the indexer that has the answer', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault, backends: { count: 3, balance: 'sticky' } } });
    await sent(at.sink, batchOf(1));
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();
    ears.hear();
    expect(await at.reopen(record).resumed?.[0]?.confirmed).toEqual({ kind: 'accepted' });
  });

  it('closing again leaves their state unknown', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    await sent(at.sink, batchOf(1));
    const next = at.reopen(at.sink.pendingAcks?.());
    const confirmed = next.resumed?.[0]?.confirmed;
    await next[Symbol.asyncDispose]();
    await expect(confirmed).rejects.toThrow('closed');
    expect(next.pendingAcks?.()).toMatchObject({ channels: [{ open: [{ ids: ['1'] }] }] });
  });

  it('they are read again if the token has no acknowledgement any more', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault }, options: { acknowledgement: 'auto' } });
    await sent(at.sink, batchOf(1));
    at.hec.tokenState = 'good';
    ears.hear();
    const next = at.reopen(at.sink.pendingAcks?.());
    expect(await next.resumed?.[0]?.confirmed).toMatchObject({ kind: 'retry' });
  });
});

describe('the record of pending acknowledgements', () => {
  it('holds for the same collector, also with a new token', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    await using other = await acknowledging({ server: { fault: ears.fault } });
    await using renewed = await acknowledging({
      server: { token: 'another' },
      options: { url: at.hec.url, token: 'another' },
    });
    await sent(at.sink, batchOf(1));
    const record = at.sink.pendingAcks?.();
    await at.sink[Symbol.asyncDispose]();
    expect(other.reopen(record).resumed).toEqual([]);
    at.hec.renew('another');
    ears.hear();
    const [resumed] = renewed.reopen(record).resumed ?? [];
    expect(await resumed?.confirmed).toEqual({ kind: 'accepted' });
    const [data] = at.hec.requests.filter(({ kind }) => kind === 'data');
    const asked = at.hec.requests.find(({ headers }) => headers.authorization === 'Splunk another');
    expect(asked).toMatchObject({ kind: 'ack', channel: data?.channel, acks: [0] });
    expect(idsOf(at.hec)).toEqual([1]);
  });

  it('holds nothing of the token', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    await sent(at.sink, batchOf(1));
    expect(Object.keys(at.sink.pendingAcks?.() as object)).toEqual(['version', 'url', 'channels']);
    expect(JSON.stringify(at.sink.pendingAcks?.())).not.toContain(at.hec.token);
  });

  it.each([
    ['no object', 'x'],
    ['a newer version', { version: 2 }],
    [
      'ids that are no numbers',
      {
        version: 1,
        url: 'u',
        channels: [
          { id: 'c4f0d8d2-6f0c-4f4b-9f4e-0a5b6c7d8e9f', cookies: [], open: [{ ackId: 0, sentAt: 1, ids: ['1e9'] }] },
        ],
      },
    ],
    [
      'a channel that is none',
      {
        version: 1,
        url: 'u',
        channels: [{ id: 'c4\r\nx: y', cookies: [], open: [] }],
      },
    ],
  ])('that is %s is ignored with a warning: its batches are sent again', async (_, record) => {
    await using at = await collector();
    expect(readPendingAcks('u', record)).toBe('unreadable');
    const sink = at.reopen(record);
    expect(sink.resumed).toEqual([]);
    expect(saidOf(at.heard, 'acknowledgement')).toEqual([expect.stringContaining('unreadable')]);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('is empty as soon as everything is acknowledged', async () => {
    await using at = await acknowledging();
    await delivered(at.sink, batchOf(1));
    expect(at.sink.pendingAcks?.()).toBeUndefined();
  });
});
