import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { SinkDeps } from '../../../src/sinks/sink.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { ElasticsearchServer } from '../../support/elasticsearch-server.ts';
import { HttpEndpointServer } from '../../support/http-endpoint.ts';
import { scratch } from '../../support/scratch.ts';
import { batchOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { file } = scratch();
const alive = new AbortController().signal;
const apiKey = 'b2J2aW91c2x5LWZha2U=';
const env = { QASPHERE_API_KEY: 'k', ES_API_KEY: apiKey };
const tenant = 'acme.eu1.qasphere.com';
const status = { event: 'forwarder.heartbeat', atMs: 1_000, members: { n: 1 } } as const;

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const [sink] = configOf(load(withSink('type: elasticsearch', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return definitionOf(sink).open(sink, deps);
}

const to = (url: string, ...more: string[]) => [`url: ${url}`, 'index: audit', 'apiKey: ${ES_API_KEY}', ...more];

sinkConformance(
  { describe, it },
  {
    name: 'elasticsearch',
    start: () => ElasticsearchServer.start(apiKey),
    open: ({ server }, deps) => open(to(server.url, 'timeout: 5s'), deps),
    arrivals: ({ documents }) =>
      documents.map(({ id, source }) => ({ text: source, isStatus: id.startsWith(`${tenant}:forwarder:`) })),
    secrets: [apiKey],
    connections: ({ server }) => server.connections,
    fail: (at) => {
      at.fault = { status: 503, body: `busy, ApiKey ${apiKey}` };
    },
    refuse: (at) => {
      at.fault = { status: 401, body: `unable to authenticate ${apiKey}` };
    },
    reject: (at, id) => {
      at.itemError = (source) => (source.includes(`{"id":${id},`) ? [400, 'document_parsing_exception'] : undefined);
    },
    stall: (at) => {
      at.fault = 'hang';
    },
    recover: (at) => {
      at.fault = undefined;
    },
  },
);

describe('a request of the elasticsearch sink', () => {
  it('is exactly this one', async () => {
    await using at = await ElasticsearchServer.start(apiKey);
    await using sink = open(to(`${at.server.url}/es/`.replace('/es/', ''), 'compression: none'));
    expect(await sink.send(batchOf(7, 8), alive)).toEqual({ kind: 'accepted' });
    const body = `{"create":{"_id":"${tenant}:7"}}\n${textOf(7)}\n{"create":{"_id":"${tenant}:8"}}\n${textOf(8)}\n`;
    expect(at.server.requests).toMatchObject([
      { method: 'POST', path: '/audit/_bulk?filter_path=errors,items.*.status,items.*.error.type', body },
    ]);
    expect(at.server.requests[0]?.headers).toEqual({
      host: at.server.url.slice('http://'.length),
      connection: 'keep-alive',
      'user-agent': 'qasphere-siem-forwarder/0.0.0-test',
      'content-type': 'application/x-ndjson',
      'content-length': String(Buffer.byteLength(body)),
      'accept-encoding': 'identity',
      authorization: `ApiKey ${apiKey}`,
    });
  });

  it('keeps a path before the index', async () => {
    await using server = await HttpEndpointServer.start(() => ({ status: 503 }));
    await using sink = open(to(`${server.url}/es/`));
    await sink.send(batchOf(1), alive);
    expect(server.requests[0]?.path).toMatch(/^\/es\/audit\/_bulk\?/);
  });

  it('stays within the limits, counting what is added to each record', async () => {
    await using at = await ElasticsearchServer.start(apiKey);
    await using sink = open(to(at.server.url, 'compression: none'));
    const batch = batchOf(1, 5);
    await sink.send(batch, alive);
    const records = batch.records.reduce((sum, { record }) => sum + record.length, 0);
    const { overheadBytes = 0 } = sink.limits;
    expect(at.server.requests[0]?.bytes.length).toBeLessThanOrEqual(records + 5 * overheadBytes);
  });

  it('stores a status record once, apart from the events, with a time', async () => {
    await using at = await ElasticsearchServer.start(apiKey);
    await using sink = open(to(at.server.url));
    for (let turn = 0; turn < 2; turn++) expect(await sink.sendStatus(status, alive)).toEqual({ kind: 'accepted' });
    expect(at.documents.map(({ source }) => JSON.parse(source))).toEqual([
      {
        '@timestamp': '1970-01-01T00:00:01.000Z',
        event: { kind: 'state', dataset: 'qasphere.forwarder' },
        forwarder: { event: 'forwarder.heartbeat', at: '1970-01-01T00:00:01.000Z', n: 1 },
      },
    ]);
  });
});

describe('the elasticsearch sink', () => {
  it('stores no event twice, however often and however cut it is sent', async () => {
    await using at = await ElasticsearchServer.start(apiKey);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.nat(9)), { maxLength: 8 }),
        async (batches) => {
          await using sink = open(to(at.server.url));
          for (const [first, more] of batches)
            expect(await sink.send(batchOf(first, first + more), alive)).toEqual({ kind: 'accepted' });
          const ids = at.documents.map(({ id }) => id);
          expect(new Set(ids).size).toBe(ids.length);
        },
      ),
      { numRuns: 30 },
    );
    expect(at.conflicts).toBeGreaterThan(0);
  });

  it('names the document that is refused, and those that are stored', async () => {
    await using at = await ElasticsearchServer.start(apiKey);
    at.itemError = (source) =>
      source.includes('"id":2,') || source.includes('"id":4,') ? [400, 'document_parsing_exception'] : undefined;
    await using sink = open(to(at.server.url));
    expect(await sink.send(batchOf(1, 5), alive)).toEqual({
      kind: 'reject',
      reason: 'malformed',
      detail: 'refused for its content (400, document_parsing_exception)',
      failedIndex: 1,
      acceptedIndexes: [0, 2, 4],
    });
  });

  it.each([
    [429, 'es_rejected_execution_exception', { kind: 'retry', reason: 'throttled' }],
    [503, 'unavailable_shards_exception', { kind: 'retry', reason: 'server' }],
    [403, 'security_exception', { kind: 'stop', reason: 'auth' }],
    [403, 'cluster_block_exception', { kind: 'stop', reason: 'auth' }],
    [404, 'index_not_found_exception', { kind: 'stop', reason: 'address' }],
  ])('answers an item %d %s beside a stored one with %j', async (code, type, verdict) => {
    await using at = await ElasticsearchServer.start(apiKey);
    at.itemError = (source) => (source.includes('"id":2,') ? [code, type] : undefined);
    await using sink = open(to(at.server.url));
    expect(await sink.send(batchOf(1, 2), alive)).toMatchObject({ ...verdict, acceptedIndexes: [0] });
  });

  it.each([
    '{}',
    '{"items":[]}',
    '{"items":[{"create":{}}]}',
    '{"items":[{"index":{"status":201}}]}',
    'not JSON',
    '[]',
    'null',
  ])('takes an answer that does not list every record for no acceptance: %s', async (body) => {
    await using server = await HttpEndpointServer.start(() => ({ status: 200, body }));
    await using sink = open(to(server.url));
    expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry', reason: 'server' });
  });

  it('puts nothing of a document into a verdict', async () => {
    const body = JSON.stringify({
      error: { reason: "failed to parse: Preview of field's value: '203.0.113.7' user.login" },
    });
    await using server = await HttpEndpointServer.start(({ body: sent }) =>
      sent === '' ? { status: 400 } : { status: 400, body },
    );
    await using sink = open(to(server.url));
    const { detail = '' } = (await sink.send(batchOf(1), alive)) as { detail?: string };
    expect(detail).toContain('failed');
    expect(detail).not.toMatch(/203\.0\.113\.7|user\.login/);
  });

  it('reports a key without the privilege to create documents', async () => {
    await using server = await HttpEndpointServer.start(({ path }) =>
      path.startsWith('/_security') ? { status: 200, body: '{"has_all_requested":false}' } : { status: 400 },
    );
    await using sink = open(to(server.url));
    expect(await sink.probe(alive)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringContaining('create_doc on audit'),
    });
  });

  it('accepts a probe of OpenSearch, which has no such question', async () => {
    await using server = await HttpEndpointServer.start(() => ({ status: 400 }));
    await using sink = open(to(server.url));
    expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
  });

  it('reads a key file again when its key is refused', async () => {
    const path = file('key', 'an-old-key-000000');
    await using at = await ElasticsearchServer.start(apiKey);
    await using sink = open([`url: ${at.server.url}`, 'index: audit', `apiKeyFile: ${path}`]);
    expect(await sink.probe(alive)).toMatchObject({ kind: 'stop' });
    writeFileSync(path, apiKey);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('has the format ecs unless another one is set', () => {
    const [sink] = configOf(load(withSink('type: elasticsearch', 'url: https://a', 'index: audit'))).sinks;
    expect(sink?.format).toBe('ecs');
  });
});

describe('the options of the elasticsearch sink', () => {
  it.each([
    [['url: https://a'], /index/],
    [['url: https://a', 'index: Audit'], /index: is not the name of an index or data stream/],
    [['url: https://a', 'index: a/b'], /index: is not the name/],
    [['url: https://a?x=1', 'index: a'], /url: must not have a query/],
    [['url: https://a', 'index: a', 'format: cef'], /format/],
    [
      ['url: https://a', 'index: a', 'apiKey: x', 'username: u', 'password: p'],
      /username: set username or apiKey, not both/,
    ],
    [['url: https://a', 'index: a', 'apiKey: x', 'apiKeyFile: /nowhere'], /apiKeyFile/],
    [['url: http://es.example.com', 'index: a'], /url: http:\/\/ would send/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: elasticsearch', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });
});
