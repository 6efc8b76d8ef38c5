import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/event/event.ts';
import { statusRecordText } from '../../src/event/status-record.ts';
import { accepted, type Verdict } from '../../src/lib/verdict.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { type SinkUnderTest, sinkConformance } from '../../src/testing/sink-conformance.ts';

/** A destination in memory. */
class Shelf implements AsyncDisposable {
  readonly texts: string[] = [];
  state: 'working' | 'down' | 'refusing' | 'silent' = 'working';
  rejected: string | undefined;
  async [Symbol.asyncDispose]() {}
}

const secret = 'b7a1e2c4-secret';

/** A sink without a fault; tests put one fault into it. */
function shelfSink(shelf: Shelf): Sink {
  const textsOf = ({ records }: Batch) => records.map(({ record }) => record.toString());
  const verdict = (forced: AbortSignal): Promise<Verdict> | Verdict => {
    forced.throwIfAborted();
    if (shelf.state === 'down') return { kind: 'retry', reason: 'network', detail: 'the shelf is down' };
    if (shelf.state === 'refusing') return { kind: 'stop', reason: 'auth', detail: 'the shelf refuses the token' };
    if (shelf.state !== 'silent') return accepted;
    return new Promise((_, reject) => forced.addEventListener('abort', () => reject(forced.reason)));
  };
  return {
    window: 1,
    limits: { maxEvents: 100, maxBytes: 10_000 },
    async send(batch, forced) {
      const answer = await verdict(forced);
      if (answer.kind !== 'accepted') return answer;
      const failedIndex = textsOf(batch).findIndex((text) => shelf.rejected && text.includes(shelf.rejected));
      if (failedIndex !== -1) return { kind: 'reject', reason: 'malformed', detail: 'does not fit', failedIndex };
      shelf.texts.push(...textsOf(batch));
      return accepted;
    },
    async sendStatus(record, forced) {
      const answer = await verdict(forced);
      if (answer.kind === 'accepted') shelf.texts.push(statusRecordText(record));
      return answer;
    },
    probe: async (forced) => verdict(forced),
    async [Symbol.asyncDispose]() {},
  };
}

/** What fails of the suite for a sink with the fault that `alter` puts into it. */
async function failures(alter: (sink: Sink, shelf: Shelf) => Partial<Sink>): Promise<string[]> {
  const tests: { readonly title: string; readonly body: () => Promise<void> }[] = [];
  let section = '';
  const runner = {
    describe(name: string, body: () => void) {
      section = name;
      body();
    },
    it: (title: string, body: () => Promise<void>) => tests.push({ title: `${section}: ${title}`, body }),
  };
  const subject: SinkUnderTest<Shelf> = {
    name: 'shelf',
    waitMs: 1_000,
    start: async () => new Shelf(),
    open: (shelf) => {
      const sink = shelfSink(shelf);
      return Object.assign(sink, alter({ ...sink }, shelf));
    },
    arrivals: ({ texts }) => texts.map((text) => ({ text, isStatus: text.startsWith('{"forwarder"') })),
    secrets: [secret],
    fail: (shelf) => {
      shelf.state = 'down';
    },
    refuse: (shelf) => {
      shelf.state = 'refusing';
    },
    reject: (shelf, id) => {
      shelf.rejected = `{"id":${id},`;
    },
    stall: (shelf) => {
      shelf.state = 'silent';
    },
    recover: (shelf) => {
      shelf.state = 'working';
    },
  };
  sinkConformance(runner, subject);
  const results = await Promise.allSettled(tests.map(({ body }) => body()));
  return results.flatMap((result, index) =>
    result.status === 'rejected' ? [`${tests[index]?.title}: ${result.reason.message.split('\n')[0]}`] : [],
  );
}

describe('the conformance suite for sinks', () => {
  it('passes a sink without a fault', async () => {
    expect(await failures(() => ({}))).toEqual([]);
  });

  const reversed = ({ records }: Batch): Batch => ({ records: records.toReversed() });
  const faults: [string, RegExp, (sink: Sink, shelf: Shelf) => Partial<Sink>][] = [
    ['reorders records', /order:/, (sink) => ({ send: (batch, forced) => sink.send(reversed(batch), forced) })],
    [
      'delivers twice',
      /order:/,
      (sink) => ({
        async send(batch, forced) {
          await sink.send(batch, forced);
          return sink.send(batch, forced);
        },
      }),
    ],
    [
      'changes a record',
      /order:.*changed/,
      (sink, shelf) => ({
        async send(batch, forced) {
          const verdict = await sink.send(batch, forced);
          shelf.texts.push(String(shelf.texts.pop()).replace('.10}', '.1}'));
          return verdict;
        },
      }),
    ],
    ['accepts while the destination is down', /confirmation:/, () => ({ send: async () => accepted })],
    [
      'retries a refusal for ever',
      /confirmation:.*refuses us/,
      (sink) => ({
        async send(batch, forced) {
          const verdict = await sink.send(batch, forced);
          return verdict.kind === 'stop' ? { ...verdict, kind: 'retry' } : verdict;
        },
      }),
    ],
    [
      'answers outside the union',
      /unknown reason/,
      (sink) => ({
        async send(batch, forced) {
          const verdict = await sink.send(batch, forced);
          return verdict.kind === 'retry' ? { ...verdict, reason: 'bad luck' as 'network' } : verdict;
        },
      }),
    ],
    [
      'rejects an index outside the batch',
      /narrowing:.*failedIndex/,
      (sink) => ({
        async send(batch, forced) {
          const verdict = await sink.send(batch, forced);
          return verdict.kind === 'reject' ? { ...verdict, failedIndex: 99 } : verdict;
        },
      }),
    ],
    [
      'delivers with its probe',
      /probe/,
      (sink, shelf) => ({
        async probe(forced) {
          shelf.texts.push('{"id":0,"user":null,"action":"conformance.test"}');
          return sink.probe(forced);
        },
      }),
    ],
    [
      'ignores the forced signal',
      /the forced signal:/,
      (sink) => ({ send: (batch) => sink.send(batch, new AbortController().signal) }),
    ],
    [
      'shows a secret',
      /a secret was shown/,
      (sink) => ({
        async send(batch, forced) {
          const verdict = await sink.send(batch, forced);
          return verdict.kind === 'stop' ? { ...verdict, detail: `refused: Splunk ${secret}` } : verdict;
        },
      }),
    ],
    [
      'sends a status record as an audit record',
      /status records:/,
      (_, shelf) => ({
        async sendStatus(record) {
          shelf.texts.push(statusRecordText(record).slice('{"forwarder":'.length, -1));
          return accepted;
        },
      }),
    ],
    ['closes only once', /disposal:/, (sink) => onceOnly(sink)],
  ];

  it.each(faults)('fails a sink that %s', async (_, expected, alter) => {
    expect(await failures(alter)).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
  });
});

function onceOnly(sink: Sink): Partial<Sink> {
  let closed = 0;
  return {
    async [Symbol.asyncDispose]() {
      closed += 1;
      if (closed > 1) throw new Error('closed already');
      await sink[Symbol.asyncDispose]();
    },
  };
}
