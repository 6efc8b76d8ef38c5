import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defaultPollInterval } from '../../../src/sinks/splunk-hec/ack-poller.ts';
import { type Fault, startHecServer } from '../../support/hec-server.ts';
import { acknowledging, alive, collector, delivered, idsOf, saidOf, sent, settleDown } from '../../support/hec-sink.ts';
import { batchOf } from '../../support/sink-parts.ts';

const onData = (fault: (n: number) => Fault | undefined) => ({
  fault: ({ n, kind }: { n: number; kind: string }) => (kind === 'data' ? fault(n) : undefined),
});
/** The first poll detects the mode; `n` counts those after it. */
const onAcks = (fault: (n: number) => Fault | undefined) => ({
  fault: ({ n, kind }: { n: number; kind: string }) => (kind === 'ack' && n > 0 ? fault(n - 1) : undefined),
});

/** Acknowledges nothing, and loses no acknowledgement, until `hear` is called. The first poll detects the mode. */
const deaf = () => {
  let hears = false;
  return {
    fault: ({ n, kind }: { n: number; kind: string }): Fault | undefined =>
      kind === 'ack' && n > 0 && !hears ? { status: 200, body: { acks: {} } } : undefined,
    hear() {
      hears = true;
    },
  };
};
/** A collector that was down, and still has the acknowledgement of this ackId. */
const forgetful =
  (ackId: number) =>
  ({ kind }: { kind: string }): Fault | undefined =>
    kind === 'ack' ? { status: 200, body: { acks: { [ackId]: true } } } : undefined;

describe('a batch with acknowledgement', () => {
  it('is delivered when the indexers have it, not when the request is answered', async () => {
    await using at = await acknowledging({ server: { ackAfter: 3 } });
    const { confirmed } = await sent(at.sink, batchOf(1, 3));
    let done = false;
    confirmed.then(() => {
      done = true;
    });
    await at.hec.until(() => at.hec.requests.filter(({ acks }) => acks.length > 0).length === 3);
    expect(done).toBe(false);
    expect(await confirmed).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1, 2, 3]);
  });

  it('is followed by others while it waits, and one poll asks about all of them', async () => {
    await using at = await acknowledging({ server: { ackAfter: 60 } });
    const confirmations = [];
    for (let id = 1; id <= 20; id++) confirmations.push((await sent(at.sink, batchOf(id))).confirmed);
    expect(at.sink.window).toBe(32);
    expect(await Promise.all(confirmations)).toEqual(Array(20).fill({ kind: 'accepted' }));
    expect(idsOf(at.hec)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(Math.max(...at.hec.requests.map(({ acks }) => acks.length))).toBeGreaterThan(5);
    expect(new Set(at.hec.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel)).size).toBe(1);
  });

  it('is sent on a new channel after each start', async () => {
    await using at = await acknowledging();
    await delivered(at.sink, batchOf(1));
    await delivered(at.reopen(null), batchOf(2));
    const channels = at.hec.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel);
    expect(new Set(channels).size).toBe(2);
    for (const channel of channels) expect(channel).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
  });

  it('is rejected, retried or stopped as without acknowledgement', async () => {
    const faults: Fault[] = [
      'busy',
      { status: 403, body: { text: 'Invalid token', code: 4 } },
      { status: 400, body: { text: 'Invalid data format', code: 6, 'invalid-event-number': 1 } },
    ];
    await using at = await acknowledging({ server: onData((n) => faults[n]) });
    expect(await at.sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'retry', reason: 'throttled' });
    expect(await at.sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    expect(await at.sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'reject', failedIndex: 1 });
    expect(await delivered(at.sink, batchOf(1, 2))).toEqual({ kind: 'accepted' });
  });
});

describe('a collector without an acknowledgement endpoint', () => {
  it.each([
    [404, '<h1>Not Found</h1>'],
    [404, { text: 'not found', code: 404 }],
    [405, '<h1>Method Not Allowed</h1>'],
    [501, 'Not Implemented'],
    [200, { text: 'Success', code: 0 }],
    [200, 'ok'],
  ])('is named with the remedy after HTTP %i %j, and gets nothing', async (status, body) => {
    for (const acknowledgement of ['auto', true]) {
      await using at = await acknowledging({
        server: { fault: ({ kind }) => (kind === 'ack' ? { status, body } : undefined) },
        options: { acknowledgement },
      });
      const refusal = { detail: expect.stringContaining('set acknowledgement: false') };
      expect(await at.sink.probe(alive)).toMatchObject(refusal);
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject(refusal);
      expect(at.hec.events).toEqual([]);
    }
  });
});

describe('whether the token has acknowledgement', () => {
  it('is asked before anything is sent: code 14 means that it has none', async () => {
    await using at = await collector({ options: { acknowledgement: 'auto' } });
    expect(at.sink.window).toBe(1);
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(await at.sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.requests.map(({ kind }) => kind)).toEqual(['ack', 'data', 'data']);
    expect(at.hec.requests[1]?.channel).toBeUndefined();
    expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([expect.stringContaining('no indexer acknowledgement')]);
    expect(at.sink.window).toBe(1);
  });

  it('is asked before anything is sent: a good answer means that it has', async () => {
    await using at = await acknowledging({ options: { acknowledgement: 'auto' } });
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    expect(at.hec.requests.map(({ kind }) => kind).slice(0, 2)).toEqual(['ack', 'data']);
    expect(at.hec.requests[0]?.channel).not.toBe(at.hec.requests[1]?.channel);
    expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([expect.stringMatching(/^indexer acknowledgement/)]);
    expect(at.sink.window).toBe(32);
  });

  it.each([
    ['busy', { kind: 'retry', reason: 'throttled' }],
    ['reset-before', { kind: 'retry', reason: 'network' }],
    ['not-found', { kind: 'retry', reason: 'address' }],
    [
      { status: 403, body: { code: 4, text: 'Invalid token' } },
      { kind: 'stop', reason: 'auth' },
    ],
    [
      { status: 400, body: '<html>no</html>' },
      { kind: 'stop', reason: 'malformed' },
    ],
    [
      { status: 200, body: { text: 'Success', code: 0 } },
      { kind: 'stop', reason: 'address' },
    ],
    [
      { status: 302, headers: { location: '/login' } },
      { kind: 'stop', reason: 'address' },
    ],
    [
      { status: 400, body: { text: 'Event field is required', code: 12 } },
      { kind: 'stop', reason: 'address', detail: expect.stringContaining('set acknowledgement: false') },
    ],
  ] as const)('is unknown after %j: nothing is sent, and it is asked again', async (fault, verdict) => {
    for (const acknowledgement of ['auto', true]) {
      await using at = await acknowledging({
        server: { fault: ({ n, kind }) => (kind === 'ack' && n < 2 ? fault : undefined) },
        options: { acknowledgement },
      });
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject(verdict);
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject(verdict);
      expect(at.hec.requests.map(({ kind }) => kind)).toEqual(['ack', 'ack']);
      expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([]);
      expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
      expect(idsOf(at.hec)).toEqual([1]);
    }
  });

  it('is required with acknowledgement: true: a token without it gets nothing', async () => {
    await using at = await acknowledging({ server: { tokenState: 'good' } });
    for (let time = 0; time < 2; time++)
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
        kind: 'stop',
        reason: 'address',
        detail: expect.stringContaining('useACK'),
      });
    expect(at.hec.events).toEqual([]);
    at.hec.tokenState = 'ack';
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
  });

  it('is detected again with auto when it is switched on and off', async () => {
    await using at = await acknowledging({
      server: { tokenState: 'good', ackAfter: 2 },
      options: { acknowledgement: 'auto' },
    });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    at.hec.tokenState = 'ack';
    expect(await at.sink.send(batchOf(2), alive)).toMatchObject({ kind: 'retry' });
    const { confirmed } = await sent(at.sink, batchOf(2));
    at.hec.tokenState = 'good';
    expect(await confirmed).toMatchObject({ kind: 'retry', detail: expect.stringContaining('switched') });
    expect(await at.sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    expect(saidOf(at.heard, 'proof_of_delivery')).toHaveLength(3);
  });
});

describe('with acknowledgement: true', () => {
  it('an answer without ackId is no delivery, stops at once, and is not repeated without bound', async () => {
    await using at = await acknowledging({ server: onData(() => 'no-ack-id') });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('without an ackId'),
    });
    // The token is asked about first. Then the batch is sent once more, and after that it waits.
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry', afterMs: 60_000 });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('without an ackId'),
    });
    expect(at.hec.requests.map(({ kind }) => kind)).toEqual(['ack', 'data', 'ack', 'data', 'ack']);
  });

  it('a token that loses its acknowledgement stops the batches that wait for one', async () => {
    await using at = await acknowledging({ server: { ackAfter: Number.POSITIVE_INFINITY } });
    const { confirmed } = await sent(at.sink, batchOf(1));
    at.hec.tokenState = 'good';
    expect(await confirmed).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining('useACK'),
    });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'stop' });
    expect(saidOf(at.heard, 'acknowledgement')).toHaveLength(1);
  });

  it.each([
    [{ status: 403, body: { text: 'Token is disabled', code: 1 } }, 'disabled'],
    [{ status: 404, body: { text: 'not found', code: 404 } }, 'is not found'],
    [{ status: 200, body: { text: 'Success', code: 0 } }, 'holds no acks'],
    [{ status: 405, body: '<h1>Method Not Allowed</h1>' }, 'Method Not Allowed'],
  ] as const)(
    'an acknowledgement endpoint that starts to refuse with %j blocks new batches, and doubles nothing',
    async (fault, words) => {
      let refusing = true;
      await using at = await acknowledging({ server: onAcks(() => (refusing ? fault : undefined)) });
      const { confirmed } = await sent(at.sink, batchOf(1));
      await at.hec.until(() => at.hec.requests.filter(({ kind }) => kind === 'ack').length > 3);
      expect(saidOf(at.heard, 'acknowledgement')).toEqual([expect.stringContaining(words)]);
      expect(await at.sink.send(batchOf(2), alive)).toMatchObject({
        kind: expect.stringMatching(/stop|retry/),
        detail: expect.stringContaining(words),
      });
      expect(idsOf(at.hec)).toEqual([1]);
      refusing = false;
      expect(await confirmed).toEqual({ kind: 'accepted' });
      expect(await delivered(at.sink, batchOf(2))).toEqual({ kind: 'accepted' });
      expect(idsOf(at.hec)).toEqual([1, 2]);
    },
  );

  it('a poll that fails temporarily is repeated', async () => {
    const faults: Fault[] = ['busy', 'error', 'reset-before', 'throttle'];
    await using at = await acknowledging({ server: onAcks((n) => faults[n]) });
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1]);
    expect(saidOf(at.heard, 'acknowledgement')).toEqual([]);
  });
});

describe('a channel is retired', () => {
  const channelsOf = (at: { hec: { requests: readonly { kind: string; channel: string | undefined }[] } }) =>
    at.hec.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel);

  it.each(['reset-before', 'reset-after', 'busy', 'error', 'hang-before'] as const)(
    'after %s: new batches are sent on a new one, the pending ones are still asked about',
    async (fault) => {
      let [held, delivering] = [true, false];
      await using at = await acknowledging({
        server: {
          fault: ({ n, kind }) =>
            kind === 'data' && n === 2
              ? fault
              : kind === 'ack' && held && delivering
                ? { status: 200, body: { acks: {} } }
                : undefined,
        },
        options: { timeout: '150ms' },
      });
      await delivered(at.sink, batchOf(0));
      delivering = true;
      const before = await sent(at.sink, batchOf(1));
      expect(await at.sink.send(batchOf(2), alive)).toMatchObject({ kind: 'retry' });
      const after = await sent(at.sink, batchOf(2));
      held = false;
      expect(await Promise.all([before.confirmed, after.confirmed])).toEqual([
        { kind: 'accepted' },
        { kind: 'accepted' },
      ]);
      const [, first, second, third] = channelsOf(at);
      expect(second).toBe(first);
      expect(third).not.toBe(first);
    },
  );

  it('when a load balancer changes its cookie', async () => {
    const setCookie = (n: number) => ({ 'set-cookie': [`AWSALB=${n < 2 ? 'a' : 'b'}; Path=/`, 'other=1'] });
    const answered = (n: number) => ({
      status: 200,
      body: { text: 'Success', code: 0, ackId: n < 3 ? n : n - 3 },
      headers: setCookie(n),
    });
    await using at = await acknowledging({ server: onData(answered) });
    for (let id = 1; id <= 5; id++) await sent(at.sink, batchOf(id));
    const [one, two, three, four, five] = channelsOf(at);
    expect([two, three]).toEqual([one, one]);
    expect(four).not.toBe(one);
    expect(five).toBe(four);
    const cookies = at.hec.requests.filter(({ kind }) => kind === 'data').map(({ headers }) => headers.cookie);
    expect(cookies).toEqual([undefined, 'AWSALB=a; other=1', 'AWSALB=a; other=1', undefined, 'AWSALB=b; other=1']);
  });

  it('when an ackId is not above the last one: everything pending on it is sent again on a new one', async () => {
    await using at = await acknowledging({ server: { ackAfter: 3 } });
    const open = [(await sent(at.sink, batchOf(1))).confirmed, (await sent(at.sink, batchOf(2))).confirmed];
    at.hec.restart();
    expect(await at.sink.send(batchOf(3), alive)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('restarted its count'),
    });
    expect(await Promise.all(open)).toEqual(Array(2).fill(expect.objectContaining({ kind: 'retry' })));
    const again = [];
    for (let id = 1; id <= 3; id++) again.push((await sent(at.sink, batchOf(id))).confirmed);
    expect(await Promise.all(again)).toEqual(Array(3).fill({ kind: 'accepted' }));
    expect(channelsOf(at)[3]).not.toBe(channelsOf(at)[0]);
    expect(idsOf(at.hec)).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it('when an ackId is not above the last one and nothing else is pending: then nothing is sent again', async () => {
    await using at = await acknowledging();
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    at.hec.restart();
    expect(await delivered(at.sink, batchOf(2))).toEqual({ kind: 'accepted' });
    expect(await delivered(at.sink, batchOf(3))).toEqual({ kind: 'accepted' });
    const [one, two, three] = channelsOf(at);
    expect([one === two, two === three]).toEqual([true, false]);
    expect(idsOf(at.hec)).toEqual([1, 2, 3]);
  });

  it.each(['reset-after', 'hang-after', 'no-ack-id'] as const)(
    'after %s: its first batch is sent again, since a restarted count may have given its ackId to the batch whose answer is lost',
    async (fault) => {
      await using at = await acknowledging({
        server: onData((n) => (n === 0 ? 'swallow-ack' : n === 1 ? fault : undefined)),
        options: { timeout: '150ms' },
      });
      const first = await sent(at.sink, batchOf(1));
      at.hec.restart();
      expect(await at.sink.send(batchOf(2), alive)).not.toMatchObject({ kind: 'sent' });
      expect(await first.confirmed).toMatchObject({
        kind: 'retry',
        detail: expect.stringMatching(/answer to a later batch.*sent again/),
      });
    },
  );

  it.each([
    ['the indexer restarted its count', true, 'retry'],
    ['the count continues', false, 'accepted'],
  ] as const)(
    'and its first acknowledgement is believed only after the answer to a batch on its way: %s',
    async (_, restarts, kind) => {
      await using at = await acknowledging({
        server: onData((n) => (n === 1 ? 'slow-answer' : n === 0 && restarts ? 'swallow-ack' : undefined)),
        interval: { firstMs: 50, longestMs: 60_000, hurryMs: 50 },
      });
      const first = await sent(at.sink, batchOf(1));
      let verdict: string | undefined;
      void first.confirmed.then(({ kind }) => {
        verdict = kind;
      });
      if (restarts) at.hec.restart();
      const second = at.sink.send(batchOf(2), alive);
      await at.hec.until(() => at.hec.requests.some(({ confirmed }) => confirmed === true));
      await settleDown();
      expect(verdict).toBeUndefined();
      await second;
      expect((await first.confirmed).kind).toBe(kind);
      expect(at.hec.requests.filter(({ acks }) => acks.length > 0)).not.toHaveLength(0);
    },
  );

  it.each([
    ['shuts down', { status: 503, body: { code: 23, text: 'Server is shutting down' } }],
    ['has full queues', { status: 503, body: { code: 18, text: 'Queues are full' } }],
    ['has no acknowledgement service', { status: 503, body: { code: 19, text: 'Ack service unavailable' } }],
    ['has neither', { status: 503, body: { code: 20, text: 'Queues are full, ack service unavailable' } }],
    ['is busy', 'busy'],
    ['is at capacity', { status: 503, body: { code: 27, text: 'ACK channel at capacity' } }],
    ['refuses the token', { status: 503, body: { code: 4, text: 'Invalid token' } }],
  ] as const)('and doubles nothing that is pending when the collector %s', async (_, fault) => {
    const ears = deaf();
    await using at = await acknowledging({
      server: { fault: (asked) => (asked.kind === 'data' && asked.n === 2 ? fault : ears.fault(asked)) },
    });
    const pending = [await sent(at.sink, batchOf(1)), await sent(at.sink, batchOf(2))];
    expect(await at.sink.send(batchOf(3), alive)).toMatchObject({ kind: expect.stringMatching(/retry|stop/) });
    pending.push(await sent(at.sink, batchOf(3)));
    ears.hear();
    expect(await Promise.all(pending.map(({ confirmed }) => confirmed))).toEqual(Array(3).fill({ kind: 'accepted' }));
    expect(idsOf(at.hec)).toEqual([1, 2, 3]);
  });

  it('and doubles nothing that is pending when a connection is refused', async () => {
    const ears = deaf();
    await using at = await acknowledging({ server: { fault: ears.fault } });
    const first = await sent(at.sink, batchOf(1));
    const port = Number(new URL(at.hec.url).port);
    await at.hec[Symbol.asyncDispose]();
    expect(await at.sink.send(batchOf(2), alive)).toMatchObject({ kind: 'retry', reason: 'network' });
    await using restarted = await startHecServer({ tokenState: 'ack', port, fault: forgetful(0) });
    expect(await first.confirmed).toEqual({ kind: 'accepted' });
    expect(restarted.events).toEqual([]);
  });

  it('when the token changes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hec-'));
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, 'old');
    await using at = await acknowledging({ server: { token: 'old', ackAfter: 1 }, options: { tokenFile } });
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    at.hec.renew('new');
    writeFileSync(tokenFile, 'new');
    expect(await delivered(at.sink, batchOf(2))).toEqual({ kind: 'accepted' });
    expect(await delivered(at.sink, batchOf(3))).toEqual({ kind: 'accepted' });
    const [one, refused, two, three] = channelsOf(at);
    expect([refused === one, two === one, three === one]).toEqual([true, true, false]);
    // Whether the new token has acknowledgement is asked before a batch is sent with it alone.
    expect(
      at.hec.requests.filter(({ acks, channel }) => acks.length > 0 && !channelsOf(at).includes(channel)),
    ).toHaveLength(2);
    rmSync(directory, { recursive: true });
  });
});

it('a pending batch is asked about on its old channel with the new token after the token’s file has changed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hec-'));
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, 'old');
  const ears = deaf();
  await using at = await acknowledging({ server: { token: 'old', fault: ears.fault }, options: { tokenFile } });
  const { confirmed } = await sent(at.sink, batchOf(1));
  at.hec.renew('new');
  writeFileSync(tokenFile, 'new');
  ears.hear();
  expect(await confirmed).toEqual({ kind: 'accepted' });
  const [data] = at.hec.requests.filter(({ kind }) => kind === 'data');
  const asked = at.hec.requests.find(({ headers }) => headers.authorization === 'Splunk new');
  expect(asked).toMatchObject({ kind: 'ack', channel: data?.channel, acks: [0] });
  expect(await delivered(at.sink, batchOf(2))).toEqual({ kind: 'accepted' });
  expect(idsOf(at.hec)).toEqual([1, 2]);
  rmSync(directory, { recursive: true });
});

describe('a batch that stays unacknowledged', () => {
  it('is sent again once, on a fresh channel', async () => {
    await using at = await acknowledging({ server: onData((n) => (n === 0 ? 'swallow-ack' : undefined)) }, 60);
    const { confirmed } = await sent(at.sink, batchOf(1, 2));
    expect(await confirmed).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
      detail: expect.stringContaining('no acknowledgement within 60 ms'),
    });
    expect(await confirmed).not.toHaveProperty('afterMs');
    expect(await delivered(at.sink, batchOf(1, 2))).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1, 2, 1, 2]);
    const [first, second] = at.hec.requests.filter(({ kind }) => kind === 'data');
    expect(second?.channel).not.toBe(first?.channel);
  });

  it('is asked about once more if the last poll had no answer', async () => {
    let faults: Fault[] = [];
    await using at = await acknowledging(
      {
        server: { ackAfter: 0, ...onAcks(() => faults.shift()) },
        interval: { firstMs: 100, longestMs: 60_000, hurryMs: 100 },
      },
      60,
    );
    faults = ['reset-before'];
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    faults = ['reset-before', 'reset-before'];
    expect(await delivered(at.sink, batchOf(2))).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
      detail: expect.stringContaining('can’t be asked for'),
    });
    expect(idsOf(at.hec)).toEqual([1, 2]);
  });

  it('for the second time shows a broken path: nothing new is sent, and one batch is repeated after growing waits', async () => {
    let broken = true;
    await using at = await acknowledging(
      { server: { fault: ({ kind }) => (broken && kind === 'data' ? 'swallow-ack' : undefined) } },
      60,
    );
    expect(await delivered(at.sink, batchOf(1))).toMatchObject({ kind: 'retry' });
    const other = await sent(at.sink, batchOf(2));
    const second = await delivered(at.sink, batchOf(1));
    expect(second).toMatchObject({
      kind: 'retry',
      afterMs: 60,
      detail: expect.stringMatching(/sticky sessions.*Splunk Cloud.*replication/),
    });
    expect(await other.confirmed).toMatchObject({ kind: 'retry' });
    expect(await at.sink.send(batchOf(3), alive)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('nothing new is sent'),
    });

    const waits = [60];
    while (waits.length < 4) {
      const answer = await at.sink.send(batchOf(1), alive);
      if (answer.kind === 'sent') {
        const verdict = await answer.confirmed;
        if (verdict.kind === 'retry') waits.push(verdict.afterMs ?? 0);
      } else if (answer.kind === 'retry') await new Promise((resolve) => setTimeout(resolve, answer.afterMs));
    }
    expect(waits).toEqual([60, 120, 240, 480]);
    expect(idsOf(at.hec)).toEqual([1, 2, 1, 1, 1, 1]);

    broken = false;
    for (;;) {
      const answer = await at.sink.send(batchOf(1), alive);
      if (answer.kind === 'retry') await new Promise((resolve) => setTimeout(resolve, answer.afterMs));
      else {
        // While it waits, everything else is still blocked.
        expect(await at.sink.send(batchOf(3), alive)).toMatchObject({ kind: 'retry' });
        if (answer.kind === 'sent') expect(await answer.confirmed).toEqual({ kind: 'accepted' });
        break;
      }
    }
    expect(await delivered(at.sink, batchOf(2))).toEqual({ kind: 'accepted' });
    expect(await delivered(at.sink, batchOf(3))).toEqual({ kind: 'accepted' });
  });

  it.each([1, 2, 3])(
    'does not block delivery for good after useACK was switched off and on (unacknowledged %i times before)',
    async (times) => {
      let isSwallowing = true;
      await using at = await acknowledging(
        {
          server: { fault: ({ kind }) => (isSwallowing && kind === 'data' ? 'swallow-ack' : undefined) },
          options: { acknowledgement: 'auto' },
        },
        40,
      );
      /** Sends like a pipeline until the batch has an ackId or is accepted. */
      const sendUntilTaken = async (id: number) => {
        for (;;) {
          const answer = await at.sink.send(batchOf(id), alive);
          if (answer.kind === 'sent') return answer.confirmed;
          if (answer.kind !== 'retry') return answer;
          await new Promise((resolve) => setTimeout(resolve, Math.min(answer.afterMs ?? 1, 200)));
        }
      };
      for (let time = 0; time < times; time++) expect(await sendUntilTaken(1)).toMatchObject({ kind: 'retry' });
      at.hec.tokenState = 'good';
      expect(await sendUntilTaken(1)).toEqual({ kind: 'accepted' });
      at.hec.tokenState = 'ack';
      const next = await sendUntilTaken(2);
      expect(next).toMatchObject({ kind: 'retry', detail: expect.stringContaining('sent again') });
      isSwallowing = false;
      expect(await sendUntilTaken(2)).toEqual({ kind: 'accepted' });
      expect(await sendUntilTaken(3)).toEqual({ kind: 'accepted' });
    },
  );

  it('because the answer to a poll was lost is sent again', async () => {
    await using at = await acknowledging({ server: onAcks((n) => (n === 0 ? 'lose-ack' : undefined)) }, 60);
    expect(await delivered(at.sink, batchOf(1))).toMatchObject({ kind: 'retry', reason: 'timeout' });
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
  });

  it('until a late poll is not sent again', async () => {
    await using at = await acknowledging({ server: onData(() => 'late-ack') });
    expect(await delivered(at.sink, batchOf(1))).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1]);
  });
});

describe('behind a load balancer', () => {
  it('with sticky sessions every batch is acknowledged by the indexer that took it', async () => {
    await using at = await acknowledging({ server: { backends: { count: 3, balance: 'sticky' }, ackAfter: 1 } });
    const confirmations = [];
    for (let id = 1; id <= 10; id++) confirmations.push((await sent(at.sink, batchOf(id))).confirmed);
    expect(await Promise.all(confirmations)).toEqual(Array(10).fill({ kind: 'accepted' }));
    expect(idsOf(at.hec)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const data = at.hec.requests.filter(
      ({ kind, channel }) => kind === 'data' || channel === at.hec.requests[1]?.channel,
    );
    expect(new Set(data.map(({ backend }) => backend)).size).toBe(1);
  });

  it('without them the path is soon found broken, and nothing is doubled without bound', async () => {
    await using at = await acknowledging({
      server: { backends: { count: 2, balance: 'in-turns' }, ackAfter: Number.POSITIVE_INFINITY },
    });
    let held = 0;
    for (let time = 0; time < 20; time++) {
      const answer = await at.sink.send(batchOf(1 + (time % 3)), alive);
      if (answer.kind === 'retry' && answer.afterMs !== undefined) held++;
    }
    expect(held).toBeGreaterThan(8);
    expect(at.hec.count).toBeLessThan(10);
  });
});

describe('finishing', () => {
  afterEach(() => void vi.useRealTimers());

  it('polls faster until nothing is pending', async () => {
    await using at = await acknowledging({
      server: { ackAfter: 5 },
      interval: { firstMs: 600_000, longestMs: 600_000, hurryMs: 1 },
    });
    const open = [(await sent(at.sink, batchOf(1))).confirmed, (await sent(at.sink, batchOf(2))).confirmed];
    await at.sink.finish?.(alive);
    expect(await Promise.all(open)).toEqual(Array(2).fill({ kind: 'accepted' }));
    await at.sink.finish?.(alive);
  });

  it('ends when kill fires; what is pending stays in the record and is not asked about again', async () => {
    let hears = false;
    const fault = () => (hears ? undefined : { status: 200, body: { acks: {} } });
    await using at = await acknowledging({ server: onAcks(fault) });
    const kill = new AbortController();
    const answer = await at.sink.send(batchOf(1, 2), kill.signal);
    const finishing = at.sink.finish?.(kill.signal);
    await at.hec.until(() => at.hec.requests.length > 4);
    kill.abort(new Error('enough'));
    await finishing;
    if (answer.kind === 'sent') await expect(answer.confirmed).rejects.toThrow('enough');
    expect(at.sink.pendingAcks?.()).toMatchObject({ channels: [{ open: [{ ids: [['1', '2']] }] }] });
    hears = true;
    const { length } = at.hec.requests;
    expect(await delivered(at.sink, batchOf(3))).toEqual({ kind: 'accepted' });
    const asked = at.hec.requests.slice(length).flatMap(({ acks }) => acks);
    expect([asked.includes(0), asked.includes(1)]).toEqual([false, true]);
    expect(at.sink.pendingAcks?.()).toMatchObject({ channels: [{ open: [{ ids: [['1', '2']] }] }] });
  });

  it.each(['finishing', 'closing'])('waits for the answer to a poll that is on its way while %s', async (end) => {
    const [polled, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const hold = (): Fault => {
      polled.resolve();
      return { wait: gate.promise };
    };
    await using at = await acknowledging({ server: { ackAfter: 1, ...onAcks((n) => (n === 1 ? hold() : undefined)) } });
    const kill = new AbortController();
    const answer = await at.sink.send(batchOf(1), kill.signal);
    await polled.promise;
    if (end === 'finishing') kill.abort(new Error('enough'));
    const ending = end === 'finishing' ? at.sink.finish?.(kill.signal) : at.sink[Symbol.asyncDispose]();
    gate.resolve();
    await ending;
    expect(answer.kind === 'sent' && (await answer.confirmed)).toEqual({ kind: 'accepted' });
    expect(at.sink.pendingAcks?.()).toBeUndefined();
  });

  it('waits for the answer to a poll for a second at most', async () => {
    const polled = Promise.withResolvers<void>();
    const hang = (): Fault => {
      polled.resolve();
      return 'hang-before';
    };
    await using at = await acknowledging({ server: onAcks(hang) });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const kill = new AbortController();
    const answer = await at.sink.send(batchOf(1, 2), kill.signal);
    await vi.advanceTimersByTimeAsync(10);
    await polled.promise;
    kill.abort(new Error('enough'));
    const finishing = at.sink.finish?.(kill.signal);
    await vi.advanceTimersByTimeAsync(1_000);
    await finishing;
    if (answer.kind === 'sent') await expect(answer.confirmed).rejects.toThrow('enough');
    expect(at.sink.pendingAcks?.()).toMatchObject({ channels: [{ open: [{ ids: [['1', '2']] }] }] });
  });

  it('is not needed before closing: what is pending then counts as not confirmed', async () => {
    await using at = await acknowledging({ server: { ackAfter: Number.POSITIVE_INFINITY } });
    const { confirmed } = await sent(at.sink, batchOf(1));
    await at.sink[Symbol.asyncDispose]();
    await at.sink[Symbol.asyncDispose]();
    expect(await confirmed).toMatchObject({ kind: 'retry' });
  });

  it('is not needed for polls: they come after one second, then more slowly, up to every ten', async () => {
    await using at = await acknowledging({
      server: { ackAfter: Number.POSITIVE_INFINITY },
      interval: defaultPollInterval,
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    await sent(at.sink, batchOf(1));
    const asked = () => at.hec.requests.filter(({ kind }) => kind === 'ack').length - 1;
    const gaps: number[] = [];
    let gap = 0;
    while (gaps.length < 6) {
      const before = asked();
      await vi.advanceTimersByTimeAsync(500);
      await settleDown();
      gap += 500;
      if (asked() > before) {
        gaps.push(gap);
        gap = 0;
      }
    }
    expect(gaps).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  });
});

describe('polls for acknowledgements', () => {
  afterEach(() => void vi.useRealTimers());

  it('wait as long as the collector asks them to', async () => {
    const busy: Fault = { status: 503, body: { text: 'Server is busy', code: 9 }, headers: { 'retry-after': '30' } };
    await using at = await acknowledging({ server: onAcks((n) => (n === 0 ? busy : undefined)) });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { confirmed } = await sent(at.sink, batchOf(1));
    const asked = () => at.hec.requests.filter(({ kind }) => kind === 'ack').length - 1;
    for (const [ms, questions] of [
      [10, 1],
      [29_000, 1],
      [1_100, 2],
    ] as const) {
      await vi.advanceTimersByTimeAsync(ms);
      await settleDown();
      expect(asked()).toBe(questions);
    }
    expect(await confirmed).toEqual({ kind: 'accepted' });
  });
});

describe('an acknowledgement channel near capacity', () => {
  it('narrows the window, which widens again', async () => {
    await using at = await acknowledging({ server: onData((n) => (n < 2 ? 'ack-warning' : undefined)) });
    const widths: number[] = [];
    for (let id = 1; id <= 6; id++) {
      await sent(at.sink, batchOf(id));
      widths.push(at.sink.window);
    }
    expect(widths).toEqual([16, 8, 16, 32, 32, 32]);
  });
});
