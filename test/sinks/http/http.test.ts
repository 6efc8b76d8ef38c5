import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/event/event.ts';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { SinkDeps } from '../../../src/sinks/sink.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { type Answer, HttpEndpointServer, type Reaction, type ReceivedRequest } from '../../support/http-endpoint.ts';
import { scratch } from '../../support/scratch.ts';
import { batchOf, recordOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { file } = scratch();
const alive = new AbortController().signal;
const token = 'obviously-fake-token-1234';
const env = { QASPHERE_API_KEY: 'k', TOKEN: token, HMAC: 'obviously-fake-hmac-key' };
const status = { event: 'forwarder.heartbeat', atMs: 0, members: { n: 1 } } as const;

function configured(...lines: string[]) {
  const [sink] = configOf(load(withSink('type: http', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return sink;
}

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const sink = configured(...lines);
  return definitionOf(sink).open(sink, deps);
}

const problems = (...lines: string[]) => problemsOf(load(withSink('type: http', ...lines), env));
const accepting = () => HttpEndpointServer.start(() => ({ status: 200 }));

/** An endpoint that can fail; only requests that it accepts arrive. */
class Endpoint implements AsyncDisposable {
  fault: Reaction | undefined;
  rejected: string | undefined;
  readonly accepted: ReceivedRequest[] = [];
  readonly server: HttpEndpointServer;
  static async start(): Promise<Endpoint> {
    const holder: { endpoint?: Endpoint } = {};
    const server = await HttpEndpointServer.start((request) => holder.endpoint?.react(request) ?? { status: 500 });
    holder.endpoint = new Endpoint(server);
    return holder.endpoint;
  }
  private constructor(server: HttpEndpointServer) {
    this.server = server;
  }
  react(request: ReceivedRequest): Reaction {
    if (this.fault !== undefined) return this.fault;
    if (request.headers.authorization !== `Bearer ${token}`) return { status: 401 };
    if (this.rejected !== undefined && request.body.includes(this.rejected)) return { status: 422, body: 'bad field' };
    if (request.body === '' || request.body === '[]') return { status: 400, body: 'no records' };
    this.accepted.push(request);
    return { status: 204 };
  }
  [Symbol.asyncDispose]() {
    return this.server[Symbol.asyncDispose]();
  }
}

const recordsIn = (form: string, body: string): string[] => {
  if (form === 'ndjson') return body.split('\n').filter((line) => line !== '');
  if (form === 'single') return [body];
  // Cut between the records, so that each keeps its bytes.
  return body.slice(1, -1).split(/,(?=\{"(?:id|forwarder)")/);
};

for (const form of ['ndjson', 'array', 'single'])
  sinkConformance(
    { describe, it },
    {
      name: `http with body ${form}`,
      start: () => Endpoint.start(),
      open: ({ server }, deps) =>
        open([`url: ${server.url}/ingest`, 'bearerToken: ${TOKEN}', `body: ${form}`, 'timeout: 5s'], deps),
      arrivals: ({ accepted }) =>
        accepted.flatMap(({ body }) =>
          recordsIn(form, body).map((text) => ({ text, isStatus: text.startsWith('{"forwarder":') })),
        ),
      secrets: [token],
      connections: ({ server }) => server.connections,
      fail: (endpoint) => {
        endpoint.fault = { status: 503, body: `busy, ${token}` };
      },
      refuse: (endpoint) => {
        endpoint.fault = { status: 401, body: `unknown token ${token}` };
      },
      reject: (endpoint, id) => {
        endpoint.rejected = `{"id":${id},`;
      },
      stall: (endpoint) => {
        endpoint.fault = 'hang';
      },
      recover: (endpoint) => {
        endpoint.fault = undefined;
      },
    },
  );

describe('a request of the http sink', () => {
  it('is exactly this one, with every option set', async () => {
    await using server = await accepting();
    const lines = [
      `url: ${server.url}/ingest?source=qasphere`,
      'headers: { X-Api-Key: "${TOKEN}" }',
      'body: ndjson',
      'compression: none',
      'signature: { key: "${HMAC}" }',
    ];
    await using sink = open(lines);
    await sink.send(batchOf(1, 2), alive);
    const [request] = server.requests;
    const body = `${textOf(1)}\n${textOf(2)}\n`;
    expect(request).toMatchObject({ method: 'POST', path: '/ingest?source=qasphere', body });
    expect(request?.headers).toEqual({
      host: server.url.slice('http://'.length),
      connection: 'keep-alive',
      'user-agent': 'qasphere-siem-forwarder/0.0.0-test',
      'content-type': 'application/x-ndjson',
      'content-length': String(Buffer.byteLength(body)),
      'accept-encoding': 'identity',
      'x-api-key': token,
      'x-signature-256': `sha256=${createHmac('sha256', env.HMAC).update(body).digest('hex')}`,
      'idempotency-key': '32d796f8561a77aaa6357d7b5e85ea02e88d3bc054af10a11158aa10bc45fa89',
    });
  });

  it.each([
    [
      'ndjson',
      'application/x-ndjson',
      `${textOf(1)}\n`,
      '{"forwarder":{"event":"forwarder.heartbeat","at":"1970-01-01T00:00:00.000Z","n":1}}\n',
    ],
    [
      'array',
      'application/json',
      `[${textOf(1)}]`,
      '[{"forwarder":{"event":"forwarder.heartbeat","at":"1970-01-01T00:00:00.000Z","n":1}}]',
    ],
    [
      'single',
      'application/json',
      textOf(1),
      '{"forwarder":{"event":"forwarder.heartbeat","at":"1970-01-01T00:00:00.000Z","n":1}}',
    ],
  ])('carries records and status records as %s', async (form, type, body, statusBody) => {
    await using server = await accepting();
    await using sink = open([`url: ${server.url}`, `body: ${form}`]);
    await sink.send(batchOf(1), alive);
    await sink.sendStatus(status, alive);
    expect(
      server.requests.map(({ headers, body: text }) => [headers['content-type'], headers['content-encoding'], text]),
    ).toEqual([
      [type, 'gzip', body],
      [type, 'gzip', statusBody],
    ]);
  });

  it('signs the bytes as they are sent, compressed', async () => {
    await using server = await accepting();
    await using sink = open([`url: ${server.url}`, 'signature: { key: "${HMAC}", header: X-Hub }']);
    await sink.send(batchOf(1, 3), alive);
    const [request] = server.requests;
    const expected = createHmac('sha256', env.HMAC)
      .update(request?.bytes ?? '')
      .digest('hex');
    expect(request?.headers['x-hub']).toBe(`sha256=${expected}`);
  });

  it('carries the same idempotency key for the same batch of another process, and another key for another batch', async () => {
    await using server = await accepting();
    for (const batch of [batchOf(1, 3), batchOf(1, 3), batchOf(1, 2)]) {
      await using sink = open([`url: ${server.url}`]);
      await sink.send(batch, alive);
    }
    const [first, second, third] = server.requests.map(({ headers }) => headers['idempotency-key']);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it('carries no idempotency key if its header is empty', async () => {
    await using server = await accepting();
    await using sink = open([`url: ${server.url}`, "idempotencyHeader: ''"]);
    await sink.send(batchOf(1), alive);
    expect(server.requests[0]?.headers['idempotency-key']).toBeUndefined();
  });

  it('identifies itself with user and password', async () => {
    await using server = await accepting();
    await using sink = open([`url: ${server.url}`, 'username: forwarder', 'password: ${TOKEN}']);
    await sink.send(batchOf(1), alive);
    const basic = Buffer.from(`forwarder:${token}`).toString('base64');
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${basic}`);
  });

  it('keeps the bytes of every record, whatever it contains', async () => {
    await using server = await accepting();
    await using ndjson = open([`url: ${server.url}`]);
    await using array = open([`url: ${server.url}`, 'body: array', 'name: array']);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), async (texts) => {
        const records = texts.map((text, index) =>
          recordOf(`{"id":${index + 1},"x":${JSON.stringify(text.toWellFormed())}}`),
        );
        for (const sink of [ndjson, array]) expect(await sink.send({ records }, alive)).toEqual({ kind: 'accepted' });
        const [lines, list] = server.requests.slice(-2).map(({ body }) => body);
        expect(lines).toBe(records.map(({ record }) => `${record}\n`).join(''));
        expect(list).toBe(`[${records.map(({ record }) => String(record)).join(',')}]`);
      }),
      { numRuns: 50 },
    );
  });

  it('carries text records as lines, or as strings of an array', async () => {
    await using server = await accepting();
    const format = { name: 'cef', json: false, encode: () => Buffer.alloc(0) };
    const record = { ...recordOf(textOf(1)), record: Buffer.from('CEF:0|a "b"|') };
    for (const form of ['ndjson', 'array', 'single']) {
      await using sink = open([`url: ${server.url}`, 'format: cef', `body: ${form}`], sinkDeps({ format }));
      await sink.send({ records: [record] }, alive);
    }
    expect(server.requests.map(({ headers, body }) => [headers['content-type'], body])).toEqual([
      ['text/plain; charset=utf-8', 'CEF:0|a "b"|\n'],
      ['application/json', '["CEF:0|a \\"b\\"|"]'],
      ['text/plain; charset=utf-8', 'CEF:0|a "b"|'],
    ]);
  });
});

describe('the verdict of the http sink', () => {
  /** The verdict on `batch` if events are answered with `answer` and empty requests with `empty`. */
  async function verdictOn(answer: Answer, batch: Batch, empty: Answer = answer) {
    await using server = await HttpEndpointServer.start(({ body }) => (body === '' ? empty : answer));
    await using sink = open([`url: ${server.url}`]);
    return await sink.send(batch, alive);
  }

  it.each([200, 201, 202, 204])('accepts %d', async (code) => {
    expect(await verdictOn({ status: code }, batchOf(1, 2))).toEqual({ kind: 'accepted' });
  });

  it('does not take a web page for an acceptance', async () => {
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' };
    expect(await verdictOn(page, batchOf(1))).toMatchObject({ kind: 'stop', reason: 'address' });
  });

  it.each([400, 413, 422])(
    'rejects a batch of several and a single event on %d, whatever an empty request gets',
    async (code) => {
      for (const empty of [{ status: 204 }, { status: code }])
        for (const batch of [batchOf(1, 2), batchOf(1)])
          expect(await verdictOn({ status: code }, batch, empty)).toMatchObject({ kind: 'reject' });
    },
  );

  it.each([401, 403, 404, 301, 405])('stops on %d if an empty request is refused too', async (code) => {
    expect(await verdictOn({ status: code }, batchOf(1))).toMatchObject({ kind: 'stop' });
  });

  it.each([401, 403, 404])('rejects a single event on %d if an empty request passes', async (code) => {
    expect(await verdictOn({ status: code }, batchOf(1), { status: 400 })).toMatchObject({ kind: 'reject' });
  });

  it.each([408, 504])('asks for smaller batches on %d', async (code) => {
    expect(await verdictOn({ status: code }, batchOf(1, 2))).toMatchObject({ kind: 'retry', narrow: true });
    expect(await verdictOn({ status: code }, batchOf(1))).not.toHaveProperty('narrow');
  });

  it('waits as long as Retry-After says', async () => {
    const answer = { status: 429, headers: { 'retry-after': '7' } };
    expect(await verdictOn(answer, batchOf(1))).toMatchObject({ kind: 'retry', reason: 'throttled', afterMs: 7_000 });
  });

  it('asks for smaller batches after a request that was not answered in time', async () => {
    await using server = await HttpEndpointServer.start(() => 'hang');
    await using sink = open([`url: ${server.url}`, 'timeout: 150ms']);
    expect(await sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'retry', reason: 'timeout', narrow: true });
  });
});

describe('secrets of the http sink', () => {
  it('come from files, which are read again when they are refused', async () => {
    const path = file('token', 'an-old-token-0000');
    await using server = await HttpEndpointServer.start(({ headers }) => ({
      status: headers.authorization === `Bearer ${token}` ? 200 : 401,
    }));
    await using sink = open([`url: ${server.url}`, `bearerTokenFile: ${path}`]);
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    writeFileSync(path, token);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('are masked wherever the configuration is printed', () => {
    const sink = configured(
      'url: https://a/b?key=in-the-query',
      'headers: { X-Api-Key: "${TOKEN}" }',
      'username: u',
      'password: ${TOKEN}',
      'signature: { key: "${HMAC}" }',
    );
    const printed = `${inspect(sink, { depth: 9 })}${JSON.stringify(sink)}`;
    expect(printed).not.toContain(token);
    expect(printed).not.toContain(env.HMAC);
    expect(definitionOf(sink).destination(sink)).toBe('https://a/b');
  });

  it('are masked in what an answer quotes, the Basic header too', async () => {
    const quoting = ({ headers }: ReceivedRequest) => ({
      status: 503,
      body: `got ${headers.authorization} and ${headers['x-key']}`,
    });
    await using server = await HttpEndpointServer.start(quoting);
    const lines = [`url: ${server.url}`, 'username: u', 'password: ${TOKEN}', 'headers: { X-Key: "${HMAC}" }'];
    await using sink = open(lines);
    expect(await sink.send(batchOf(1), alive)).toMatchObject({
      detail: expect.stringContaining('got [secret] and [secret]'),
    });
  });

  it('include the path of a Sumo Logic URL, and every query, also where an answer quotes them', async () => {
    await using server = await HttpEndpointServer.start(({ path }) => ({ status: 404, body: `Cannot POST ${path}` }));
    await using queried = open([`url: ${server.url}/in?key=a-secret-query`]);
    expect(JSON.stringify(await queried.send(batchOf(1), alive))).not.toContain('a-secret-query');
    const sink = configured('preset: sumo', `url: ${server.url}/receiver/v1/http/a-secret-path`);
    expect(definitionOf(sink).destination(sink)).toBe(`${server.url}/…`);
    await using opened = definitionOf(sink).open(sink, sinkDeps());
    expect(JSON.stringify(await opened.send(batchOf(1), alive))).not.toContain('a-secret-path');
  });
});

describe('a preset', () => {
  it.each([
    ['datadog', 'dd-api-key', 'application/json'],
    ['splunk-observability', 'x-sf-token', 'application/json'],
  ])('%s sends the bearer token as %s', async (preset, header, type) => {
    await using server = await accepting();
    await using sink = open([`url: ${server.url}`, `preset: ${preset}`, 'bearerToken: ${TOKEN}']);
    await sink.send(batchOf(1, 2), alive);
    expect(server.requests[0]?.headers).toMatchObject({ [header]: token, 'content-type': type });
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
    expect(JSON.parse(server.requests[0]?.body ?? '')).toHaveLength(2);
  });

  it('takes the key from headers as well', () => {
    expect(problems('url: https://a', 'preset: datadog', 'headers: { DD-API-KEY: "${TOKEN}" }')).toEqual([]);
  });

  it('sets the limits of the vendor', () => {
    const limits = (...lines: string[]) => open(lines).limits;
    expect(limits('url: https://a', 'preset: datadog', 'bearerToken: ${TOKEN}')).toMatchObject({
      maxEvents: 1000,
      maxBytes: 5_000_000,
    });
    expect(limits('url: https://a', 'preset: sumo', 'batch: { maxEvents: 20 }')).toMatchObject({
      maxEvents: 20,
      maxBytes: 1_000_000,
    });
  });

  it.each([
    [
      ['preset: datadog', 'bearerToken: ${TOKEN}', 'body: ndjson'],
      /body: contradicts preset: datadog, which sends array/,
    ],
    [
      ['preset: datadog', 'bearerToken: ${TOKEN}', 'batch: { maxEvents: 1001 }'],
      /batch\.maxEvents: contradicts preset: datadog, which allows at most 1000/,
    ],
    [
      ['preset: datadog', 'bearerToken: ${TOKEN}', 'batch: { maxBytes: 6MB }'],
      /batch\.maxBytes: contradicts preset: datadog/,
    ],
    [['preset: datadog', 'bearerToken: ${TOKEN}', 'format: cef'], /format: contradicts preset: datadog/],
    [
      ['preset: datadog', 'bearerToken: ${TOKEN}', 'headers: { dd-api-key: x }'],
      /must not name dd-api-key, which preset: datadog makes from bearerToken/,
    ],
    [['preset: datadog'], /preset: requires the header dd-api-key: set it in headers, or set bearerToken/],
    [['preset: google-secops', 'bearerToken: ${TOKEN}'], /preset: requires the header x-goog-api-key/],
    [['preset: dynatrace'], /preset/],
  ])('that the other options contradict is an error: %j', (lines, message) => {
    expect(problems('url: https://a', ...lines).join('\n')).toMatch(message);
  });
});

describe('the options of the http sink', () => {
  it.each([
    [['url: ftp://a'], /url: write https:\/\/host\/path/],
    [['url: https://u:p@a'], /url: must not hold user or password/],
    [['url: http://siem.example.com'], /url: http:\/\/ would send credentials and records in clear/],
    [['url: https://a', 'bearerToken: a', 'bearerTokenFile: /nowhere'], /bearerTokenFile/],
    [
      ['url: https://a', 'bearerToken: a', 'username: u', 'password: p'],
      /username: set username or bearerToken, not both/,
    ],
    [['url: https://a', 'username: u'], /username: requires password or passwordFile/],
    [['url: https://a', 'password: p'], /password: requires username/],
    [['url: https://a', 'headers: { Content-Type: a }'], /Content-Type: is set by the program/],
    [['url: https://a', 'headers: { "a b": a }'], /is not the name of a header/],
    [['url: https://a', 'headers: { A: a, a: b }'], /is named twice/],
    [
      ['url: https://a', 'headers: { Authorization: a }', 'bearerToken: b'],
      /must not name Authorization beside bearerToken/,
    ],
    [
      ['url: https://a', 'headers: { Idempotency-Key: a }'],
      /must not name Idempotency-Key, which idempotencyHeader sets/,
    ],
    [['url: https://a', 'signature: {}'], /signature: requires either key or keyFile/],
    [['url: https://a', 'body: xml'], /body/],
  ])('%j are refused by name', (lines, message) => {
    const found = problems(...lines);
    expect(found.join('\n')).toMatch(message);
    expect(found.join('\n')).toMatch(/c\.yaml:\d+:\d+/);
  });
});
