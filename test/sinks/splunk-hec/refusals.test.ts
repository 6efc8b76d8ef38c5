import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/lib/verdict.ts';
import type { Sink } from '../../../src/sinks/sink.ts';
import type { Fault } from '../../support/hec-server.ts';
import { acknowledging, alive, collector, delivered, idsOf } from '../../support/hec-sink.ts';
import { batchOf, recordOf, textOf } from '../../support/sink-parts.ts';

const page = '<html><body>Request rejected by the firewall</body></html>';
const markup = '<script>alert(1)</script>';
const suspicious = (id: number) => recordOf(textOf(id, `,"x":"${markup}"`));

/** A firewall in front of the collector that refuses bodies with mark-up. */
const firewall = (status: number, headers = {}) => ({
  fault: ({ body }: { body: () => Buffer }): Fault | undefined =>
    body().includes(markup) ? { status, body: page, headers } : undefined,
});

/** Sends like a pipeline: halves a refused batch, and returns the verdicts on single events that stay refused. */
async function sendNarrowing(sink: Sink, records: ReturnType<typeof recordOf>[]): Promise<Map<number, Verdict>> {
  const refused = new Map<number, Verdict>();
  const verdict = await delivered(sink, { records });
  if (verdict.kind === 'accepted') return refused;
  if (verdict.kind === 'reject' && records.length > 1) {
    const middle = records.length >> 1;
    for (const half of [records.slice(0, middle), records.slice(middle)])
      for (const [id, other] of await sendNarrowing(sink, half)) refused.set(id, other);
    return refused;
  }
  return refused.set(Number(records[0]?.event.id), verdict);
}

describe('an answer without a code of Splunk’s about the content of one event', () => {
  it.each([
    [403, {}],
    [406, {}],
    [400, {}],
    [404, {}],
    [200, {}],
    [302, { location: 'https://firewall.example/blocked' }],
    [451, {}],
  ])('HTTP %i rejects that event alone, and all others are delivered', async (status, headers) => {
    for (const open of [collector, acknowledging]) {
      await using at = await open({ server: firewall(status, headers) });
      const records = [1, 2, 3, 5, 6, 7, 8].map((id) => recordOf(textOf(id)));
      records.splice(3, 0, suspicious(4));
      // Temporary for several events: the pipeline halves the batch by itself.
      const parts = status === 404 ? records.map((record) => [record]) : [records];
      const refused = new Map<number, Verdict>();
      for (const part of parts)
        for (const [id, verdict] of await sendNarrowing(at.sink, part)) refused.set(id, verdict);
      expect([...refused]).toEqual([
        [4, { kind: 'reject', reason: 'malformed', detail: expect.stringContaining(`HTTP ${status}`) }],
      ]);
      expect(idsOf(at.hec)).toEqual([1, 2, 3, 5, 6, 7, 8]);
    }
  });

  it('has several events sent in smaller batches for 404, which may be temporary', async () => {
    await using at = await collector({ server: firewall(404) });
    const verdict = await at.sink.send({ records: [suspicious(1), suspicious(2)] }, alive);
    expect(verdict).toMatchObject({ kind: 'retry', reason: 'address', narrow: true });
  });

  it('never makes up for a temporary refusal: the event is sent again before it is rejected', async () => {
    await using at = await collector({
      server: { fault: ({ n }) => (n === 0 ? { status: 403, body: page } : undefined) },
    });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.requests.map(({ events }) => events)).toEqual([0, 0, 1]);
  });
});

describe('an answer without a code of Splunk’s to every request', () => {
  it.each([
    [401, 'auth'],
    [403, 'auth'],
    [406, 'address'],
    [302, 'address'],
    [200, 'address'],
    [400, 'malformed'],
  ])('HTTP %i stops once a request without events is refused too, and rejects no event', async (status, reason) => {
    for (const open of [collector, acknowledging]) {
      await using at = await open({
        server: { fault: ({ kind }) => (kind === 'data' ? { status, body: page } : undefined) },
      });
      expect(await at.sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'reject' });
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'stop', reason });
    }
  });

  it('reports what the request without events found: a token that is refused with a code', async () => {
    await using at = await collector({ server: firewall(403) });
    at.hec.tokenState = 'unknown';
    expect(await at.sink.send({ records: [suspicious(1)] }, alive)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringContaining('not known to this collector'),
    });
  });

  it('is temporary if the request without events fails temporarily', async () => {
    await using at = await collector({
      server: { fault: ({ n }) => (n === 0 ? { status: 403, body: page } : 'busy') },
    });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry', reason: 'throttled' });
  });
});

describe('a request without an answer', () => {
  /** Far more than gzip leaves of similar events. */
  const large = (id: number) =>
    recordOf(textOf(id, `,"x":"${Array.from({ length: 4_000 }, (_, n) => (n * n * id).toString(36)).join('')}"`));

  it.each([
    ['times out', { timeout: '100ms' }, 'hang-before', [recordOf(textOf(1)), recordOf(textOf(2))]],
    ['is large and is reset', {}, 'reset-before', [large(1), large(2)]],
  ] as const)('asks for a smaller batch if it %s, down to one event', async (_, options, fault, [one, two]) => {
    for (const open of [collector, acknowledging]) {
      await using at = await open({ options, server: { fault: ({ kind }) => (kind === 'data' ? fault : undefined) } });
      expect(await at.sink.send({ records: [one, two] }, alive)).toMatchObject({ kind: 'retry', narrow: true });
      const single = await at.sink.send({ records: [one] }, alive);
      expect(single).toMatchObject({ kind: 'retry' });
      expect(single).not.toHaveProperty('narrow');
    }
  });

  it('does not ask for a smaller batch if it is small and is reset, as when a collector restarts', async () => {
    await using at = await collector({ server: { fault: () => 'reset-before' } });
    expect(await at.sink.send(batchOf(1, 2), alive)).not.toHaveProperty('narrow');
  });

  it('does not ask for a smaller batch if there was no connection', async () => {
    await using at = await collector();
    await at.hec[Symbol.asyncDispose]();
    const verdict = await at.sink.send({ records: [large(1), large(2)] }, alive);
    expect(verdict).toMatchObject({ kind: 'retry', reason: 'network' });
    expect(verdict).not.toHaveProperty('narrow');
  });
});
