import { describe, expect, it } from 'vitest';
import { FailoverHec } from '../../../src/sinks/splunk-hec/failover.ts';
import { splunkHecOptions } from '../../../src/sinks/splunk-hec/options.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { type HecServer, startHecServer } from '../../support/hec-server.ts';
import { quick } from '../../support/hec-sink.ts';
import type { Fault } from '../../support/hec-types.ts';
import { batchOf, sinkDeps } from '../../support/sink-parts.ts';

const alive = new AbortController().signal;
const token = 'b7a1e2c4-0d6f-4c39-9a55-3f1d2e4c5b6a';

/** Two collectors, and what each answers. */
async function pair(tokenState: 'good' | 'ack') {
  const faults: { first?: Fault | undefined; second?: Fault | undefined } = {};
  const first = await startHecServer({ token, tokenState, fault: () => faults.first });
  const second = await startHecServer({ token, tokenState, fault: () => faults.second });
  return {
    faults,
    first,
    second,
    open(acknowledgement: boolean | 'auto', more = {}, deps = sinkDeps()) {
      const url = [first.url, second.url];
      const options = splunkHecOptions.parse({
        type: 'splunk-hec',
        url,
        token,
        acknowledgement,
        timeout: '2s',
        ...more,
      });
      return new FailoverHec(options, deps, quick);
    },
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

const idsOf = ({ events }: HecServer) => events.map(({ raw }) => (JSON.parse(String(raw)) as { id: number }).id);

describe('a HEC sink with two collectors', () => {
  it.each([
    ['is busy', 'busy' as const],
    ['fails', { status: 500, body: {} }],
    ['resets', 'reset-before' as const],
  ])('uses the second one when the first one %s, and does not return while it works', async (_, fault) => {
    await using at = await pair('good');
    await using sink = at.open(false);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    at.faults.first = fault as Fault;
    expect(await sink.send(batchOf(2), alive)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining(`so ${at.second.url} is used`),
    });
    expect(await sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    at.faults.first = undefined;
    expect(await sink.send(batchOf(3), alive)).toEqual({ kind: 'accepted' });
    expect([idsOf(at.first), idsOf(at.second)]).toEqual([[1], [2, 3]]);
    at.faults.second = fault as Fault;
    await sink.send(batchOf(4), alive);
    expect(await sink.send(batchOf(4), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.first)).toEqual([1, 4]);
  });

  it.each([
    ['the token', { status: 403, body: { code: 4, text: 'Invalid token' } }, 'stop'],
    ['an event', { status: 400, body: { code: 6, text: 'Invalid data format' } }, 'reject'],
    ['the rate', { status: 429, body: {} }, 'retry'],
  ])('stays with the first one when it refuses %s', async (_, fault, kind) => {
    await using at = await pair('good');
    at.faults.first = fault as Fault;
    await using sink = at.open(false);
    for (let turn = 0; turn < 2; turn++) expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind });
    expect(at.second.requests).toEqual([]);
  });

  it('still asks the first one for the acknowledgement of what it has', async () => {
    await using at = await pair('ack');
    await using sink = at.open(true);
    const sent = await sink.send(batchOf(1), alive);
    if (sent.kind !== 'sent') throw new Error(JSON.stringify(sent));
    at.faults.first = 'busy';
    await sink.send(batchOf(2), alive);
    at.faults.first = undefined;
    const other = await sink.send(batchOf(2), alive);
    if (other.kind !== 'sent') throw new Error(JSON.stringify(other));
    await sink.finish(alive);
    expect([await sent.confirmed, await other.confirmed]).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
    expect([idsOf(at.first), idsOf(at.second)]).toEqual([[1], [2]]);
  });

  it.each(['auto', true] as const)(
    'lets nothing that waits at the first one delay the second one: %s',
    async (mode) => {
      await using at = await pair('ack');
      await using sink = at.open(mode);
      const sent = [await sink.send(batchOf(1), alive), await sink.send(batchOf(2), alive)];
      expect(sent.map(({ kind }) => kind)).toEqual(['sent', 'sent']);
      const before = sink.window;
      at.faults.first = 'busy';
      await sink.send(batchOf(3), alive);
      // The queue sends while fewer batches than `window` wait, whichever collector they wait for.
      expect(sink.window).toBeGreaterThan(sent.length);
      const other = await sink.send(batchOf(3), alive);
      expect(other.kind).toBe('sent');
      expect(sink.window).toBe(before + sent.length);
      at.faults.first = undefined;
      await sink.finish(alive);
      for (const answer of sent) if (answer.kind === 'sent') await answer.confirmed;
      expect(sink.window).toBe(before);
    },
  );

  it('asks both after a restart, from what was pending, also if there is one URL now', async () => {
    await using at = await pair('ack');
    let record: unknown;
    {
      await using sink = at.open(true);
      await sink.send(batchOf(1), alive);
      at.faults.first = 'busy';
      await sink.send(batchOf(2), alive);
      await sink.send(batchOf(2), alive);
      record = JSON.parse(JSON.stringify(sink.pendingAcks()));
    }
    at.faults.first = undefined;
    await using after = at.open(true, {}, sinkDeps({ pendingAcks: record }));
    const resumed = after.resumed.map(({ ranges }) => ranges);
    expect(resumed).toEqual([[[1n, 1n]], [[2n, 2n]]]);
    for (const { confirmed } of after.resumed) expect(await confirmed).toEqual({ kind: 'accepted' });
  });

  it('reports a refusal when all have failed in a row, and tries on', async () => {
    await using at = await pair('good');
    at.faults.first = { status: 500, body: {} };
    at.faults.second = { status: 502, body: {} };
    const deps = sinkDeps();
    await using sink = at.open(false, {}, deps);
    for (let turn = 0; turn < 6; turn++) expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry' });
    at.faults.second = undefined;
    await sink.send(batchOf(1), alive);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.second)).toEqual([1]);
  });

  it('is probed at each', async () => {
    await using at = await pair('good');
    await using sink = at.open(false);
    expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
    at.faults.second = { status: 403, body: { code: 4, text: 'Invalid token' } };
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop', detail: expect.stringContaining(at.second.url) });
    at.faults.first = { status: 500, body: {} };
    const named = new RegExp(`${at.first.url}: .*; ${at.second.url}: `);
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop', detail: expect.stringMatching(named) });
  });
});

describe('the url of a splunk-hec sink', () => {
  const problems = (url: string, ...more: string[]) =>
    problemsOf(load(withSink('type: splunk-hec', `url: ${url}`, 'token: t', ...more))).join('\n');

  it.each([
    ['[]', /c\.yaml:6:10: sinks\[0\]\.url: .*must name at least one collector/],
    ['[https://a, https://a/]', /sinks\[0\]\.url\[1\]: is the same as url\[0\]/],
    ['[https://a, ftp://b]', /sinks\[0\]\.url\[1\]: write https:\/\/host:8088/],
    ['[https://a, http://b]', /sinks\[0\]\.url\[1\]: http:\/\/ would send the token in clear/],
  ])('is refused by name: %s', (url, message) => {
    expect(problems(url)).toMatch(message);
  });

  it('may be a list, which status shows', () => {
    const [sink] = configOf(load(withSink('type: splunk-hec', 'url: [https://a, https://b/x/]', 'token: t'))).sinks;
    expect(sink).toMatchObject({ url: 'https://a', otherUrls: ['https://b/x'] });
  });
});
