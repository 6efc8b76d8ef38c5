import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { SinkDeps } from '../../../src/sinks/sink.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { HttpEndpointServer, type Reaction, type ReceivedRequest } from '../../support/http-endpoint.ts';
import { scratch } from '../../support/scratch.ts';
import { batchOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { file } = scratch();
const alive = new AbortController().signal;
const clientSecret = 'obviously-fake-secret-1';
const env = { QASPHERE_API_KEY: 'k', SECRET: clientSecret };
const path = '/dataCollectionRules/dcr-0123456789abcdef/streams/Custom-QASphereAudit?api-version=2023-01-01';

/** Entra's token endpoint, the metadata service and the Logs Ingestion API on one port, strict about each request. */
class Azure implements AsyncDisposable {
  fault: Reaction | undefined;
  tokenFault: Reaction | undefined;
  rejected: string | undefined;
  secret = clientSecret;
  expiresIn: unknown = 3599;
  /** Tokens that were issued. */
  issued = 0;
  /** Number of the first token that is valid. */
  valid = 1;
  readonly rows: string[] = [];
  readonly server: HttpEndpointServer;
  static async start(): Promise<Azure> {
    const holder: { azure?: Azure } = {};
    const server = await HttpEndpointServer.start((request) => holder.azure?.react(request) ?? { status: 503 });
    holder.azure = new Azure(server);
    return holder.azure;
  }
  private constructor(server: HttpEndpointServer) {
    this.server = server;
  }
  get posts(): ReceivedRequest[] {
    return this.server.requests.filter((request) => request.path === path);
  }
  react(request: ReceivedRequest): Reaction {
    if (request.path === path) return this.#ingest(request);
    return this.tokenFault ?? this.#issue(request);
  }
  [Symbol.asyncDispose]() {
    return this.server[Symbol.asyncDispose]();
  }

  #ingest({ method, headers, body }: ReceivedRequest): Reaction {
    if (this.fault !== undefined) return this.fault;
    const number = Number(/^Bearer fake-token-(\d+)$/.exec(headers.authorization ?? '')?.[1]);
    if (!(number >= this.valid)) return { status: 401, body: '{"error":{"code":"InvalidToken"}}' };
    if (method !== 'POST' || headers['content-type'] !== 'application/json') return { status: 415 };
    const rows: unknown = JSON.parse(body);
    if (!Array.isArray(rows) || rows.length === 0) return { status: 400, body: '{"error":{"code":"InvalidPayload"}}' };
    if (Buffer.byteLength(body) > 1024 ** 2) return { status: 413 };
    if (this.rejected !== undefined && body.includes(this.rejected)) return { status: 400 };
    this.rows.push(...body.slice(1, -1).split(/,(?=\{"(?:id|forwarder)")/));
    return { status: 204 };
  }

  #issue({ method, path: asked, headers, body }: ReceivedRequest): Reaction {
    const url = new URL(asked, 'http://a');
    const form = new URLSearchParams(body);
    const isClient =
      method === 'POST' &&
      url.pathname === '/contoso.example/oauth2/v2.0/token' &&
      headers['content-type'] === 'application/x-www-form-urlencoded' &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === 'app-1' &&
      form.get('scope') === 'https://monitor.azure.com//.default';
    if (isClient && form.get('client_secret') !== this.secret)
      return {
        status: 401,
        body: JSON.stringify({
          error: 'invalid_client',
          error_codes: [7000215],
          error_description: `bad ${form.get('client_secret')}`,
        }),
      };
    const resource = url.searchParams.get('resource') === 'https://monitor.azure.com/';
    const isMachine =
      method === 'GET' &&
      resource &&
      url.pathname === '/metadata/identity/oauth2/token' &&
      headers.metadata === 'true' &&
      url.searchParams.get('api-version') === '2018-02-01';
    const isApp =
      method === 'GET' &&
      resource &&
      url.pathname === '/msi/token' &&
      headers['x-identity-header'] === 'h' &&
      url.searchParams.get('api-version') === '2019-08-01';
    if (!isClient && !isMachine && !isApp) return { status: 400, body: '{"error":"invalid_request"}' };
    return {
      status: 200,
      body: JSON.stringify({ access_token: `fake-token-${++this.issued}`, expires_in: this.expiresIn }),
    };
  }
}

const linesFor = (url: string, ...more: string[]) => [
  `endpoint: ${url}`,
  'ruleId: dcr-0123456789abcdef',
  'stream: Custom-QASphereAudit',
  ...more,
];
const application = (url: string) => [
  'tenantId: contoso.example',
  'clientId: app-1',
  'clientSecret: ${SECRET}',
  `authority: ${url}`,
];

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const [sink] = configOf(load(withSink('type: sentinel', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return definitionOf(sink).open(sink, deps);
}

const openFor = ({ server: { url } }: Azure, deps?: SinkDeps) =>
  open(linesFor(url, ...application(url), 'timeout: 5s'), deps);

sinkConformance(
  { describe, it },
  {
    name: 'sentinel',
    start: () => Azure.start(),
    open: (azure, deps) => openFor(azure, deps),
    arrivals: ({ rows }) => rows.map((text) => ({ text, isStatus: text.startsWith('{"forwarder":') })),
    secrets: [clientSecret, 'fake-token-'],
    connections: ({ server }) => server.connections,
    fail: (azure) => {
      azure.fault = { status: 503, body: 'fake-token-1' };
    },
    refuse: (azure) => {
      azure.fault = { status: 403, body: 'fake-token-1' };
    },
    reject: (azure, id) => {
      azure.rejected = `{"id":${id},`;
    },
    stall: (azure) => {
      azure.fault = 'hang';
    },
    recover: (azure) => {
      azure.fault = undefined;
    },
  },
);

describe('a request of the sentinel sink', () => {
  it('is an array of the events, with the token and the version of the API', async () => {
    await using azure = await Azure.start();
    await using sink = openFor(azure);
    expect(await sink.send(batchOf(1, 2), alive)).toEqual({ kind: 'accepted' });
    expect(azure.posts).toMatchObject([{ method: 'POST', body: `[${textOf(1)},${textOf(2)}]` }]);
    expect(azure.posts[0]?.headers).toMatchObject({
      authorization: 'Bearer fake-token-1',
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
  });

  it('stays below 1 MiB with its brackets and commas', async () => {
    await using azure = await Azure.start();
    await using sink = openFor(azure);
    const { maxBytes, overheadBytes = 0 } = sink.limits;
    const events = 1000;
    const size = Math.floor(maxBytes / events) - overheadBytes;
    const { records } = batchOf(1, events);
    const filled = records.map((encoded) => ({
      ...encoded,
      record: Buffer.from(`{"id":1,"x":"${'y'.repeat(size - 14)}"}`),
    }));
    expect(await sink.send({ records: filled }, alive)).toEqual({ kind: 'accepted' });
  });
});

describe('the token of the sentinel sink', () => {
  it('is requested once for many requests, several at a time too', async () => {
    await using azure = await Azure.start();
    await using sink = openFor(azure);
    await Promise.all([
      sink.send(batchOf(1), alive),
      sink.sendStatus({ event: 'forwarder.heartbeat', atMs: 0, members: {} }, alive),
    ]);
    await sink.send(batchOf(2), alive);
    expect(azure.issued).toBe(1);
  });

  it('is renewed before it expires', async () => {
    await using azure = await Azure.start();
    let nowMs = 0;
    await using sink = openFor(azure, sinkDeps({ now: () => nowMs }));
    await sink.send(batchOf(1), alive);
    nowMs = (3599 - 299) * 1000;
    await sink.send(batchOf(2), alive);
    expect(azure.posts.at(-1)?.headers.authorization).toBe('Bearer fake-token-2');
  });

  it('is used until it expires if it can’t be renewed', async () => {
    await using azure = await Azure.start();
    let nowMs = 0;
    await using sink = openFor(azure, sinkDeps({ now: () => nowMs }));
    await sink.send(batchOf(1), alive);
    azure.tokenFault = { status: 503 };
    nowMs = (3599 - 299) * 1000;
    expect(await sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    nowMs = 3_600_000;
    expect(await sink.send(batchOf(3), alive)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('no token from'),
    });
  });

  it('is renewed when it is refused, and the batch is sent again at once', async () => {
    await using azure = await Azure.start();
    await using sink = openFor(azure);
    await sink.send(batchOf(1), alive);
    azure.valid = 2;
    expect(await sink.send(batchOf(2), alive)).toEqual({ kind: 'accepted' });
    azure.valid = 99;
    expect(await sink.send(batchOf(3), alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
  });

  it('that is refused parks the sink, names the error, and shows no secret', async () => {
    await using azure = await Azure.start();
    azure.secret = 'another-one';
    await using sink = openFor(azure);
    const verdict = await sink.probe(alive);
    expect(verdict).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringMatching(
        /correct tenantId, clientId and clientSecret.*HTTP 401, invalid_client, AADSTS7000215/,
      ),
    });
    expect(JSON.stringify(verdict)).not.toContain(clientSecret);
    expect(azure.posts).toEqual([]);
  });

  it('that is refused with the secret in the error shows no secret, and a redirect parks the sink', async () => {
    await using azure = await Azure.start();
    await using sink = openFor(azure);
    azure.tokenFault = { status: 400, body: JSON.stringify({ error: `unknown: ${clientSecret}` }) };
    expect(JSON.stringify(await sink.probe(alive))).not.toContain(clientSecret);
    azure.tokenFault = { status: 302, headers: { location: '/elsewhere' } };
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop', detail: expect.stringContaining('no token from') });
    azure.tokenFault = { status: 429, headers: { 'retry-after': '9' } };
    expect(await sink.probe(alive)).toMatchObject({ kind: 'retry', reason: 'throttled', afterMs: 9_000 });
  });

  it('is requested with a secret file that is read again when it is refused', async () => {
    await using azure = await Azure.start();
    const secretPath = file('secret', 'an-old-secret-0');
    const { url } = azure.server;
    const lines = linesFor(
      url,
      'tenantId: contoso.example',
      'clientId: app-1',
      `clientSecretFile: ${secretPath}`,
      `authority: ${url}`,
    );
    await using sink = open(lines);
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop' });
    writeFileSync(secretPath, clientSecret);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it.each([
    ['a virtual machine', (url: string) => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: url })],
    ['an app service', (url: string) => ({ IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: 'h' })],
  ])('comes from the managed identity of %s, past every proxy', async (_, variables) => {
    await using azure = await Azure.start();
    azure.expiresIn = '3599';
    const { url } = azure.server;
    const proxies = { HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: '' };
    await using token = open(linesFor(url), sinkDeps({ env: { ...variables(url), ...proxies } }));
    await token.probe(alive);
    expect(azure.issued).toBe(1);
    await using sink = open(linesFor(url), sinkDeps({ env: variables(url) }));
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it.each([
    '{}',
    '{"access_token":5,"expires_in":1}',
    '{"access_token":"a b","expires_in":60}',
    '{"access_token":"a"}',
    'x',
  ])('must be in the answer: %s', async (body) => {
    await using azure = await Azure.start();
    azure.tokenFault = { status: 200, body };
    await using sink = openFor(azure);
    expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind: 'stop', reason: 'address' });
  });
});

describe('the options of the sentinel sink', () => {
  const base = linesFor('https://dce-x.westeurope-1.ingest.monitor.azure.com');
  it.each([
    [
      [...base.filter((line) => !line.startsWith('ruleId')), 'ruleId: my-rule'],
      /ruleId: must be the immutable id of the rule, dcr-/,
    ],
    [[...base, 'format: ecs'], /format/],
    [[...base, 'tenantId: t'], /clientId: is required with tenantId/],
    [[...base, 'tenantId: t', 'clientId: c'], /clientSecret: requires clientSecret or clientSecretFile/],
    [[...base, 'clientSecret: s'], /clientSecret: requires tenantId and clientId/],
    [[...base, 'batch: { maxBytes: 2MiB }'], /batch\.maxBytes: must be at most 1MiB/],
    [linesFor('https://a/b'), /endpoint: must be an origin/],
    [linesFor('http://dce.example.com'), /endpoint: http:\/\/ would send/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: sentinel', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });

  it('may name nothing but the rule, for a managed identity', () => {
    expect(problemsOf(load(withSink('type: sentinel', ...base), env))).toEqual([]);
  });
});
