import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { SinkDeps } from '../../../src/sinks/sink.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { HttpEndpointServer, type Reaction } from '../../support/http-endpoint.ts';
import { fakeKeys, S3Server } from '../../support/s3-server.ts';
import { scratch } from '../../support/scratch.ts';
import { batchOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { file } = scratch();
const alive = new AbortController().signal;
const env = { QASPHERE_API_KEY: 'k', AWS_ID: fakeKeys.accessKeyId, AWS_SECRET: fakeKeys.secretAccessKey };
const keys = ['accessKeyId: ${AWS_ID}', 'secretAccessKey: ${AWS_SECRET}'];
const status = { event: 'forwarder.heartbeat', atMs: Date.UTC(2026, 2, 1, 10), members: { n: 1 } } as const;

function configured(...lines: string[]) {
  const [sink] = configOf(load(withSink('type: s3', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return sink;
}

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const sink = configured(...lines);
  return definitionOf(sink).open(sink, deps);
}

const linesFor = (url: string, ...more: string[]) => [
  'bucket: audit',
  'region: eu-central-1',
  `endpoint: ${url}`,
  'pathStyle: true',
  ...more,
];

sinkConformance(
  { describe, it },
  {
    name: 's3',
    start: () => S3Server.start(),
    open: ({ server }, deps) => open(linesFor(server.url, ...keys, 'timeout: 5s'), deps),
    arrivals: ({ objects }) =>
      objects.flatMap(({ key, text }) =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => ({ text: line, isStatus: key.includes('/status/') })),
      ),
    secrets: [fakeKeys.secretAccessKey],
    connections: ({ server }) => server.connections,
    fail: (s3) => {
      s3.fault = { status: 503, body: `<Code>SlowDown</Code>${fakeKeys.secretAccessKey}` };
    },
    refuse: (s3) => {
      s3.fault = { status: 403, body: `<Code>AccessDenied</Code>${fakeKeys.secretAccessKey}` };
    },
    stall: (s3) => {
      s3.fault = 'hang';
    },
    recover: (s3) => {
      s3.fault = undefined;
    },
  },
);

describe('an object of the s3 sink', () => {
  it('has the records as lines, compressed, under a key of prefix, ids and digest', async () => {
    await using s3 = await S3Server.start();
    await using sink = open(linesFor(s3.server.url, ...keys));
    expect(await sink.send(batchOf(7, 9), alive)).toEqual({ kind: 'accepted' });
    const [{ key, text } = { key: '', text: '' }] = s3.objects;
    expect(text).toBe(`${textOf(7)}\n${textOf(8)}\n${textOf(9)}\n`);
    expect(key).toMatch(/^qasphere\/acme\.eu1\.qasphere\.com\/2026\/03\/01\/7-9-[0-9a-f]{16}\.ndjson\.gz$/);
    const [request] = s3.server.requests;
    expect(gunzipSync(request?.bytes ?? '').toString()).toBe(text);
    expect(request?.headers).toMatchObject({ 'if-none-match': '*', 'content-type': 'application/gzip' });
  });

  it('has the same key for the same batch, and is stored once', async () => {
    await using s3 = await S3Server.start();
    for (let turn = 0; turn < 3; turn++) {
      await using sink = open(linesFor(s3.server.url, ...keys));
      expect(await sink.send(batchOf(1, 3), alive)).toEqual({ kind: 'accepted' });
    }
    expect([s3.objects.length, s3.conflicts]).toEqual([1, 2]);
  });

  it('is signed so that a strict server accepts it, whatever is in its key', async () => {
    await using s3 = await S3Server.start();
    const prefix = fc
      .string({ unit: fc.constantFrom(..."aZ09-_.!*'()/"), maxLength: 20 })
      .filter((text) => !text.startsWith('/'));
    await fc.assert(
      fc.asyncProperty(prefix, fc.integer({ min: 1, max: 1000 }), async (before, id) => {
        // The client resolves dots in paths, which a signed path must not contain.
        fc.pre(!before.split('/').some((part) => part === '.' || part === '..'));
        await using sink = open(linesFor(s3.server.url, ...keys, `prefix: "${before}"`));
        expect(await sink.send(batchOf(id), alive)).toEqual({ kind: 'accepted' });
      }),
      { numRuns: 60 },
    );
  });

  it('is retained if objectLock is set, with a checksum', async () => {
    await using s3 = await S3Server.start();
    const nowMs = Date.UTC(2026, 0, 1);
    await using sink = open(
      linesFor(s3.server.url, ...keys, 'objectLock: { mode: COMPLIANCE, days: 365 }'),
      sinkDeps({ now: () => nowMs }),
    );
    await sink.send(batchOf(1), alive);
    expect(s3.objects[0]?.headers).toMatchObject({
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-object-lock-retain-until-date': '2027-01-01T00:00:00.000Z',
      'content-md5': expect.any(String),
    });
  });

  it('is below status/ if it is a status record', async () => {
    await using s3 = await S3Server.start();
    await using sink = open(linesFor(s3.server.url, ...keys));
    for (let turn = 0; turn < 2; turn++) expect(await sink.sendStatus(status, alive)).toEqual({ kind: 'accepted' });
    expect(s3.objects.map(({ key }) => key)).toEqual([
      expect.stringMatching(
        /^qasphere\/acme\.eu1\.qasphere\.com\/2026\/03\/01\/status\/2026-03-01T100000\.000Z-[0-9a-f]{16}\.ndjson$/,
      ),
    ]);
    expect(s3.objects[0]?.text).toMatch(/^\{"forwarder":.*\}\n$/);
  });

  it('goes to the host of the bucket unless pathStyle is set', () => {
    const sink = open(['bucket: audit', 'region: eu-central-1', 'endpoint: https://store.example.com:9000', ...keys]);
    expect(sink.limits).toMatchObject({ maxEvents: 10_000, maxBytes: 8 * 1024 ** 2, maxAgeMs: 60_000 });
  });
});

describe('the verdict of the s3 sink', () => {
  it.each([
    [200, '', { kind: 'accepted' }],
    [412, 'PreconditionFailed', { kind: 'accepted' }],
    [409, 'ConditionalRequestConflict', { kind: 'retry' }],
    [403, 'AccessDenied', { kind: 'stop', reason: 'auth', detail: expect.stringContaining('s3:PutObject') }],
    [403, 'RequestTimeTooSkewed', { kind: 'stop', detail: expect.stringContaining('clock') }],
    [
      404,
      'NoSuchBucket',
      { kind: 'stop', reason: 'address', detail: expect.stringContaining('bucket audit does not exist') },
    ],
    [400, 'ExpiredToken', { kind: 'stop', reason: 'auth' }],
    [400, 'RequestTimeout', { kind: 'retry' }],
    [400, 'InvalidArgument', { kind: 'stop' }],
    [413, 'EntityTooLarge', { kind: 'stop' }],
    [429, 'TooManyRequests', { kind: 'retry', reason: 'throttled' }],
    [500, 'InternalError', { kind: 'retry', reason: 'server' }],
    [503, 'SlowDown', { kind: 'retry', reason: 'throttled' }],
  ])('on %d %s is %j', async (code, name, verdict) => {
    await using server = await HttpEndpointServer.start(() => ({
      status: code,
      body: `<Error><Code>${name}</Code></Error>`,
    }));
    await using sink = open(linesFor(server.url, ...keys));
    expect(await sink.send(batchOf(1, 2), alive)).toMatchObject(verdict);
  });

  it('names the region of a bucket that is elsewhere', async () => {
    const answer = {
      status: 301,
      headers: { 'x-amz-bucket-region': 'us-west-2' },
      body: '<Code>PermanentRedirect</Code>',
    };
    await using server = await HttpEndpointServer.start(() => answer);
    await using sink = open(linesFor(server.url, ...keys));
    expect(await sink.probe(alive)).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining('correct region, to us-west-2'),
    });
  });

  it('repeats an object that timed out as it is, and makes the batch smaller only after three time-outs', async () => {
    await using server = await HttpEndpointServer.start(() => 'hang');
    await using sink = open(linesFor(server.url, ...keys, 'timeout: 150ms'));
    const narrow: unknown[] = [];
    for (let turn = 0; turn < 6; turn++)
      narrow.push(((await sink.send(batchOf(1, 2), alive)) as { narrow?: true }).narrow);
    expect(narrow).toEqual([undefined, undefined, true, undefined, undefined, true]);
  });

  it('is accepted at the second attempt if the first was stored without an answer', async () => {
    await using s3 = await S3Server.start();
    s3.faultAfter = 'reset';
    await using sink = open(linesFor(s3.server.url, ...keys));
    expect(await sink.send(batchOf(1, 2), alive)).toMatchObject({ kind: 'retry' });
    expect(await sink.send(batchOf(1, 2), alive)).toEqual({ kind: 'accepted' });
    expect(s3.records).toHaveLength(2);
  });
});

describe('the probe of the s3 sink', () => {
  it('leaves no object', async () => {
    await using s3 = await S3Server.start();
    await using sink = open(linesFor(s3.server.url, ...keys));
    expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
    expect(s3.objects).toEqual([]);
  });

  it.each([
    ['bucket: other', /bucket other does not exist/],
    ['region: us-west-1', /another region/],
  ])('finds a wrong %s', async (line, message) => {
    await using s3 = await S3Server.start();
    const [name] = line.split(':');
    const lines = linesFor(s3.server.url, ...keys).filter((other) => !other.startsWith(`${name}:`));
    await using sink = open([...lines, line]);
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop', detail: expect.stringMatching(message) });
  });
});

describe('credentials of the s3 sink', () => {
  const temporary = {
    AccessKeyId: fakeKeys.accessKeyId,
    SecretAccessKey: fakeKeys.secretAccessKey,
    Token: 'fake-session-token',
    Expiration: '2099-01-01T00:00:00Z',
  };

  async function withMetadata(
    react: (
      path: string,
      request: { method: string; headers: Readonly<Record<string, unknown>>; body: string },
    ) => Reaction,
  ) {
    return HttpEndpointServer.start((request) => react(request.path, request));
  }

  it('come from the environment', async () => {
    await using s3 = await S3Server.start();
    const variables = {
      AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
      AWS_SESSION_TOKEN: 'fake-session-token',
    };
    await using sink = open(linesFor(s3.server.url), sinkDeps({ env: variables }));
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(s3.objects[0]?.headers['x-amz-security-token']).toBe('fake-session-token');
  });

  it('come from the machine by IMDSv2', async () => {
    await using metadata = await withMetadata((path, { method, headers }) => {
      if (
        path === '/latest/api/token' &&
        method === 'PUT' &&
        headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
      )
        return { status: 200, body: 'imds-token' };
      if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return { status: 401 };
      if (path === '/latest/meta-data/iam/security-credentials/') return { status: 200, body: 'forwarder-role\n' };
      return path.endsWith('/forwarder-role') ? { status: 200, body: JSON.stringify(temporary) } : { status: 404 };
    });
    await using s3 = await S3Server.start();
    const deps = sinkDeps({ env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url } });
    await using sink = open(linesFor(s3.server.url), deps);
    for (const id of [1, 2]) expect(await sink.send(batchOf(id), alive)).toEqual({ kind: 'accepted' });
    expect(s3.objects[0]?.headers['x-amz-security-token']).toBe('fake-session-token');
    expect(metadata.requests).toHaveLength(3);
  });

  it.each(['json', 'xml'])('come from STS for a web identity, in %s', async (form) => {
    await using sts = await withMetadata((_, { body }) => {
      const asked = new URLSearchParams(body);
      const isRight =
        asked.get('Action') === 'AssumeRoleWithWebIdentity' &&
        asked.get('WebIdentityToken') === 'a.jwt' &&
        asked.get('RoleArn') === 'arn:aws:iam::1:role/r';
      if (!isRight) return { status: 400 };
      const members = {
        AccessKeyId: temporary.AccessKeyId,
        SecretAccessKey: temporary.SecretAccessKey,
        SessionToken: temporary.Token,
      };
      const xml = Object.entries(members)
        .map(([name, value]) => `<${name}>${value}</${name}>`)
        .join('');
      return {
        status: 200,
        body:
          form === 'json'
            ? JSON.stringify({ Credentials: { ...members, Expiration: 'exponent' } }).replace('"exponent"', '4.1E9')
            : `<Credentials>${xml}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`,
      };
    });
    await using s3 = await S3Server.start();
    const deps = sinkDeps({
      env: {
        AWS_WEB_IDENTITY_TOKEN_FILE: file('jwt', 'a.jwt\n'),
        AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
        AWS_ENDPOINT_URL_STS: sts.url,
      },
    });
    await using sink = open(linesFor(s3.server.url), deps);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    await sink.send(batchOf(2), alive);
    expect(sts.requests).toHaveLength(1);
  });

  it('come from the container, and are replaced before they expire', async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    await using container = await withMetadata((_, { headers }) =>
      headers.authorization === 'fake-authorization'
        ? { status: 200, body: JSON.stringify({ ...temporary, Expiration: new Date(nowMs + 3_600_000).toISOString() }) }
        : { status: 401 },
    );
    await using s3 = await S3Server.start();
    const variables = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'fake-authorization',
    };
    await using sink = open(linesFor(s3.server.url), sinkDeps({ env: variables, now: () => nowMs }));
    await sink.send(batchOf(1), alive);
    nowMs += 3_600_000 - 299_000;
    await sink.send(batchOf(2), alive);
    expect(container.requests).toHaveLength(2);
  });

  it('are read again from their file when they are refused', async () => {
    await using s3 = await S3Server.start();
    const path = file('aws-secret', 'another-fake-secret\n');
    await using sink = open(linesFor(s3.server.url, keys[0] ?? '', `secretAccessKeyFile: ${path}`));
    expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
    file('aws-secret', `${fakeKeys.secretAccessKey}\n`);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('that are missing park the sink, with a remedy', async () => {
    await using metadata = await withMetadata(() => ({ status: 404 }));
    await using sink = open(
      linesFor('http://127.0.0.1:9'),
      sinkDeps({ env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url } }),
    );
    expect(await sink.probe(alive)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringContaining('set accessKeyId and secretAccessKey'),
    });
  });
});

describe('the options of the s3 sink', () => {
  it.each([
    [['bucket: Audit'], /bucket: is not the name of a bucket/],
    [['bucket: a.b.c'], /bucket: contains a dot/],
    [['bucket: abc', 'prefix: "{year}/"'], /prefix: may contain no other braces than \{tenant\}/],
    [['bucket: abc', 'prefix: "{mm"'], /prefix/],
    [['bucket: abc', 'prefix: a/../b'], /prefix: must not contain \. or \.\./],
    [['bucket: abc', 'prefix: /a'], /prefix: must not start with \//],
    [['bucket: abc', 'accessKeyId: A'], /accessKeyId: requires secretAccessKey or secretAccessKeyFile/],
    [['bucket: abc', 'secretAccessKey: A'], /secretAccessKey: requires accessKeyId/],
    [['bucket: abc', 'objectLock: { mode: NONE, days: 1 }'], /objectLock\.mode/],
    [['bucket: abc', 'objectLock: { mode: COMPLIANCE }'], /objectLock\.days/],
    [['bucket: abc', 'endpoint: https://a/b'], /endpoint: must be an origin/],
    [['bucket: abc', 'endpoint: http://minio.example.com:9000'], /endpoint: http:\/\/ would send/],
    [['bucket: abc', 'batch: { maxAge: 2d }'], /batch\.maxAge/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: s3', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });
});
