import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { load, problemsOf, withSink } from '../../support/configuration.ts';
import type { Fault } from '../../support/hec-server.ts';
import { alive, collector, delivered, idsOf, saidOf, settleDown } from '../../support/hec-sink.ts';
import { batchOf, recordOf, textOf } from '../../support/sink-parts.ts';

const first = (fault: Fault) => ({ fault: ({ n }: { n: number }) => (n === 0 ? fault : undefined) });

describe('the splunk-hec sink without acknowledgement', () => {
  it.each(['gzip', 'none'])('delivers each event byte for byte, in order, with compression %s', async (compression) => {
    await using at = await collector({ options: { compression } });
    const texts = [
      textOf(1),
      textOf(2, ',"meta":{"big":90071992547409931,"f":1.0,"e":1e3,"z":-0,"s":"\\ud800\u2028"}'),
      textOf(3),
    ];
    expect(await at.sink.send({ records: texts.map(recordOf) }, alive)).toEqual({ kind: 'accepted' });
    expect(await at.sink.send(batchOf(4, 6), alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.events.map((event) => event.raw.toString())).toEqual([...texts, textOf(4), textOf(5), textOf(6)]);
    expect(at.hec.requests.map(({ headers }) => headers['content-encoding'])).toEqual(
      compression === 'gzip' ? ['gzip', 'gzip'] : [undefined, undefined],
    );
  });

  it('sends one request per batch, one batch at a time, with the token and without a channel', async () => {
    await using at = await collector();
    await at.sink.send(batchOf(1, 3), alive);
    expect(at.sink.window).toBe(1);
    expect(at.hec.requests).toHaveLength(1);
    expect(at.hec.requests[0]?.headers).toMatchObject({
      authorization: `Splunk ${at.hec.token}`,
      'content-type': 'application/json',
    });
    expect(at.hec.requests[0]?.channel).toBeUndefined();
    expect(at.sink.pendingAcks?.()).toBeUndefined();
  });

  it('counts what an envelope adds towards the size of a request', async () => {
    await using at = await collector({ options: { index: 'security', compression: 'none' } });
    const batch = batchOf(1, 100);
    await at.sink.send(batch, alive);
    const records = batch.records.reduce((sum, { record }) => sum + record.length, 0);
    const bound = records + 100 * (at.sink.limits.overheadBytes ?? 0);
    expect(at.hec.requests[0]?.bytes).toBeLessThanOrEqual(bound);
    expect(at.hec.requests[0]?.bytes).toBeGreaterThan(bound - 100 * 10);
  });

  it('sends the host name of the tenant, or the configured one', async () => {
    await using tenant = await collector();
    await using named = await collector({ options: { host: 'fw-1', index: 'security', fields: { env: 'prod' } } });
    await tenant.sink.send(batchOf(1), alive);
    await named.sink.send(batchOf(1), alive);
    expect(tenant.hec.events[0]).toMatchObject({
      host: 'acme.eu1.qasphere.com',
      source: 'qasphere-siem-forwarder',
      sourcetype: 'qasphere:audit',
      index: undefined,
      fields: undefined,
      time: 1772359200.001,
    });
    expect(named.hec.events[0]).toMatchObject({ host: 'fw-1', index: 'security', fields: { env: 'prod' } });
  });

  it.each([
    [6, (raw: Buffer) => raw.includes('"id":3,')],
    [15, (raw: Buffer) => raw.includes('"id":3,')],
  ])('reports which event a code %i is about', async (code, guilty) => {
    await using at = await collector({ server: { refuse: (raw) => (guilty(raw) ? code : undefined) } });
    expect(await at.sink.send(batchOf(1, 5), alive)).toMatchObject({
      kind: 'reject',
      reason: 'malformed',
      failedIndex: 2,
    });
    expect(await at.sink.send(batchOf(3), alive)).toMatchObject({ kind: 'reject', failedIndex: 0 });
    expect(await at.sink.send(batchOf(4, 5), alive)).toEqual({ kind: 'accepted' });
  });

  it('stops if the index is not allowed, and rejects no event', async () => {
    await using at = await collector({ server: { allowedIndexes: ['main'] }, options: { index: 'secret-index' } });
    const verdict = await at.sink.send(batchOf(1, 2), alive);
    expect(verdict).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining('index secret-index'),
    });
  });

  it.each([
    ['in JSON', (token: string) => ({ status: 400, body: { text: `bad: Splunk ${token}`, code: 6 } })],
    ['in a page', (token: string) => ({ status: 403, body: `<html>refused: Splunk ${token}</html>` })],
  ])('does not reveal its token if the collector quotes it %s', async (_, fault) => {
    const token = '5f1c2d3e-aaaa-bbbb-cccc-0123456789ab';
    await using at = await collector({ server: { token, fault: () => fault(token) } });
    const verdict = await at.sink.send(batchOf(1), alive);
    expect(verdict).toMatchObject({ detail: expect.stringContaining('Splunk [secret]') });
    expect(JSON.stringify(verdict)).not.toContain(token);
  });

  it('rejects a batch that is too large, however long the page of the answer is', async () => {
    const page = `<html>${'x'.repeat(200_000)}</html>`;
    await using at = await collector({ server: first({ status: 413, body: page }) });
    expect(await at.sink.send(batchOf(1, 5), alive)).toMatchObject({ kind: 'reject', reason: 'too_large' });
    expect(await at.sink.send(batchOf(1, 2), alive)).toEqual({ kind: 'accepted' });
  });

  it.each([
    ['busy', 'retry', 'throttled'],
    ['error', 'retry', 'server'],
    ['throttle', 'retry', 'throttled'],
    ['not-found', 'retry', 'address'],
    ['reset-before', 'retry', 'network'],
    ['reset-after', 'retry', 'network'],
  ] as const)('answers %s with %s (%s), and delivers afterwards', async (fault, kind, reason) => {
    await using at = await collector({ server: first(fault) });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind, reason });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it.each(['hang-before', 'hang-after'] as const)('retries if no answer comes in time (%s)', async (fault) => {
    await using at = await collector({ server: first(fault), options: { timeout: '100ms' } });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry', reason: 'timeout' });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('takes no web page for a delivery, whatever its length and content type', async () => {
    const page = { status: 200, body: `<html>${'x'.repeat(200_000)}`, headers: { 'content-type': 'application/json' } };
    await using at = await collector({ server: { fault: () => page } });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({ kind: 'stop', reason: 'address' });
  });

  it('throws the reason of kill and nothing else', async () => {
    await using at = await collector({ server: first('hang-before') });
    const kill = new AbortController();
    const sending = at.sink.send(batchOf(1), kill.signal);
    await at.hec.until(() => at.hec.requests.length === 1);
    kill.abort(new Error('enough'));
    await expect(sending).rejects.toThrow('enough');
    await expect(at.sink.send(batchOf(1), kill.signal)).rejects.toThrow('enough');
  });

  it.each(['', '/', '/services/collector', '/services/collector/event', '/services/collector/event/1.0/'])(
    'keeps a path before the endpoint, with %j at the end of the URL',
    async (end) => {
      for (const pathPrefix of ['', '/splunk', '/a/b']) {
        await using at = await collector({ server: { pathPrefix, tokenState: 'ack' } });
        const { href } = new URL(`${at.hec.url}${end}`);
        await using own = await collector({
          options: { url: href, token: at.hec.token, acknowledgement: true },
        });
        expect(await delivered(own.sink, batchOf(1))).toEqual({ kind: 'accepted' });
        expect(at.hec.requests.map(({ kind }) => kind)).toEqual(['ack', 'data', 'ack']);
        expect(idsOf(at.hec)).toEqual([1]);
      }
    },
  );

  it.each([
    ['/services/collector/raw', 'leave out /services/collector'],
    ['/x/services/collector/ack', 'leave out /services/collector'],
    ['/?token=t', 'must not have a query'],
    ['/#t', 'must not have a fragment'],
  ])('refuses a URL that ends in %s', (end, message) => {
    const text = withSink('type: splunk-hec', `url: "https://splunk.test:8088${end}"`, 'token: t');
    expect(problemsOf(load(text))).toEqual([expect.stringContaining(`sinks[0].url: ${message}`)]);
  });

  it('follows no redirect', async () => {
    await using elsewhere = await collector();
    await using at = await collector({
      server: {
        fault: () => ({ status: 307, headers: { location: `${elsewhere.hec.url}/services/collector/event` } }),
      },
    });
    const verdict = await at.sink.send(batchOf(1), alive);
    expect(verdict).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining(elsewhere.hec.url),
    });
    expect(elsewhere.hec.requests).toEqual([]);
  });

  it('stops if the token requires acknowledgement, which is switched off here', async () => {
    await using at = await collector({ server: { tokenState: 'ack' } });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('acknowledgement: true or auto'),
    });
    expect(at.hec.events).toEqual([]);
  });

  it('keeps the cookies that a balancer sets, until that indexer fails', async () => {
    await using at = await collector({
      server: { backends: { count: 3, balance: 'sticky' }, fault: ({ n }) => (n === 3 ? 'error' : undefined) },
    });
    for (let id = 1; id <= 5; id++) await at.sink.send(batchOf(id), alive);
    expect(at.hec.requests.map(({ headers }) => headers.cookie)).toEqual([
      undefined,
      'SPLUNKLB=0',
      'SPLUNKLB=0',
      'SPLUNKLB=0',
      undefined,
    ]);
  });

  it('repeats a first request with the cookie that its refusal sets', async () => {
    await using at = await collector({
      server: {
        fault: ({ headers }) =>
          headers.cookie === undefined
            ? { status: 400, body: '<html>no cookie</html>', headers: { 'set-cookie': 'AWSALB=x; Path=/' } }
            : undefined,
      },
    });
    expect(await at.sink.send(batchOf(1, 2), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1, 2]);
  });
});

describe('an answer that accepts but asks for less', () => {
  afterEach(() => void vi.useRealTimers());

  it('is a delivery, after which the sink waits, longer each time, until an answer asks for nothing', async () => {
    await using at = await collector({ server: { fault: ({ n }) => (n < 2 ? 'queue-warning' : undefined) } });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    for (const [index, ms] of [250, 500].entries()) {
      const next = at.sink.send(batchOf(2 + index), alive);
      await vi.advanceTimersByTimeAsync(ms - 1);
      await settleDown();
      expect(at.hec.requests).toHaveLength(1 + index);
      await vi.advanceTimersByTimeAsync(1);
      expect(await next).toEqual({ kind: 'accepted' });
    }
    expect(await at.sink.send(batchOf(4), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1, 2, 3, 4]);
  });
});

describe('the token of a splunk-hec sink', () => {
  it.each([
    ['disabled', 403, 'disabled'],
    ['unknown', 403, 'not known'],
  ] as const)(
    'that is %s stops the sink, and works as soon as the collector accepts it',
    async (state, status, words) => {
      await using at = await collector({ server: {} });
      at.hec.tokenState = state;
      const verdict = await at.sink.send(batchOf(1), alive);
      expect(verdict).toMatchObject({ kind: 'stop', reason: 'auth', detail: expect.stringContaining(words) });
      expect(at.hec.requests[0]?.status).toBe(status);
      at.hec.tokenState = 'good';
      expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    },
  );

  it('is read again from its file when it is refused, and used once more if it has changed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hec-'));
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, 'old-token\n');
    await using at = await collector({ server: { token: 'old-token' }, options: { tokenFile } });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });

    at.hec.renew('new-token');
    expect(await at.sink.send(batchOf(2), alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    expect(at.hec.requests).toHaveLength(2);

    writeFileSync(tokenFile, 'new-token\n');
    expect(await at.sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Splunk old-token',
      'Splunk old-token',
      'Splunk old-token',
      'Splunk new-token',
    ]);

    at.hec.renew('newest-token');
    writeFileSync(tokenFile, 'wrong-token\n');
    expect(await at.sink.send(batchOf(3), alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    expect(at.hec.requests).toHaveLength(6);
    rmSync(directory, { recursive: true });
  });

  it('is in no verdict and no event, whatever the collector answers', async () => {
    const faults: Fault[] = [
      'busy',
      'error',
      'not-found',
      'reset-after',
      { status: 302, headers: { location: '/?t=b7a1e2c4' } },
      { status: 403, body: 'no' },
      { status: 418, body: 'tea' },
    ];
    await using at = await collector({ server: { fault: ({ n }) => faults[n] }, options: { acknowledgement: false } });
    const verdicts = [];
    for (const _ of faults) verdicts.push(await at.sink.send(batchOf(1), alive));
    const reported = JSON.stringify([verdicts, at.heard]);
    expect(reported).not.toContain(at.hec.token);
    expect(reported).not.toContain('Splunk b7');
  });
});

describe('what a splunk-hec sink reports', () => {
  it('counts events without a readable time, and warns once', async () => {
    await using at = await collector();
    const untimed = recordOf('{"id":2,"createdAt":"then"}');
    await at.sink.send({ records: [untimed, recordOf(textOf(3)), untimed] }, alive);
    await at.sink.send({ records: [untimed] }, alive);
    expect(at.heard.filter(({ event }) => event === 'sink.untimed')).toEqual([
      { event: 'sink.untimed', sink: 'hec', events: 2 },
      { event: 'sink.untimed', sink: 'hec', events: 1 },
    ]);
    expect(saidOf(at.heard, 'unreadable_time')).toHaveLength(1);
    expect(at.hec.events.map(({ time }) => time)).toEqual([undefined, 1772359200.003, undefined, undefined]);
  });

  it('warns once about an unknown code of a success', async () => {
    await using at = await collector({ server: { fault: () => ({ status: 200, body: { text: 'Fine', code: 77 } }) } });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(await at.sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    expect(saidOf(at.heard, 'unknown_code')).toEqual([expect.stringContaining('77')]);
  });
});

describe('the probe of a splunk-hec sink', () => {
  it('sends a request and delivers nothing', async () => {
    await using at = await collector();
    expect(await at.sink.probe(alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.events).toEqual([]);
    expect(at.hec.requests).toHaveLength(1);
  });

  it('reports a refused token, and a collector that does not answer', async () => {
    await using at = await collector();
    at.hec.tokenState = 'unknown';
    expect(await at.sink.probe(alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    await at.hec[Symbol.asyncDispose]();
    expect(await at.sink.probe(alive)).toMatchObject({ kind: 'retry', reason: 'network' });
  });

  it.each([
    ['good', 'the answer 2xx'],
    ['ack', 'indexer acknowledgement'],
  ] as const)('reports the proof of delivery for a token that is %s', async (tokenState, words) => {
    await using at = await collector({ server: { tokenState }, options: { acknowledgement: 'auto' } });
    expect(await at.sink.probe(alive)).toEqual({ kind: 'accepted' });
    expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([expect.stringContaining(words)]);
  });
});
