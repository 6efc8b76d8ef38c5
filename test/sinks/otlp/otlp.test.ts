import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditEvent } from '../../../src/event/event.ts';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { SinkDeps } from '../../../src/sinks/sink.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { type Answer, HttpEndpointServer, type Reaction, type ReceivedRequest } from '../../support/http-endpoint.ts';
import { logsFromJson, logsFromProtobuf, type ReceivedLog } from '../../support/otlp-logs.ts';
import { batchOf, eventOf, recordOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const alive = new AbortController().signal;
const token = 'obviously-fake-token-1234';
const env = { QASPHERE_API_KEY: 'k', T: token };

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const [sink] = configOf(load(withSink('type: otlp', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return definitionOf(sink).open(sink, deps);
}

const logsIn = ({ headers, body, bytes }: ReceivedRequest): ReceivedLog[] =>
  headers['content-type'] === 'application/json'
    ? logsFromJson(body)
    : logsFromProtobuf(headers['content-encoding'] === undefined ? bytes : Buffer.from(body, 'utf8'));

/** A receiver that can fail. Uncompressed, because protobuf is not text. */
class Receiver implements AsyncDisposable {
  fault: Reaction | undefined;
  rejected: string | undefined;
  readonly logs: ReceivedLog[] = [];
  readonly server: HttpEndpointServer;
  static async start(): Promise<Receiver> {
    const holder: { receiver?: Receiver } = {};
    const server = await HttpEndpointServer.start((request) => holder.receiver?.react(request) ?? { status: 503 });
    holder.receiver = new Receiver(server);
    return holder.receiver;
  }
  private constructor(server: HttpEndpointServer) {
    this.server = server;
  }
  react(request: ReceivedRequest): Reaction {
    if (this.fault !== undefined) return this.fault;
    if (request.headers.authorization !== `Bearer ${token}`) return { status: 401 };
    const logs = logsIn(request);
    const taken = logs.filter(({ body }) => this.rejected === undefined || !body.includes(this.rejected));
    // A receiver that rejects a part of a request takes the rest; here it takes all or nothing, as the suite counts.
    if (taken.length < logs.length) return partial(request, logs.length - taken.length);
    this.logs.push(...taken);
    return success(request);
  }
  [Symbol.asyncDispose]() {
    return this.server[Symbol.asyncDispose]();
  }
}

const isJson = ({ headers }: ReceivedRequest) => headers['content-type'] === 'application/json';
const success = (request: ReceivedRequest): Answer => ({
  status: 200,
  headers: { 'content-type': request.headers['content-type'] ?? '' },
  body: isJson(request) ? '{"partialSuccess":{}}' : '',
});
/** `ExportLogsServiceResponse` with `partial_success { rejected_log_records: N }`. */
const partial = (request: ReceivedRequest, rejected: number): Answer => ({
  ...success(request),
  body: isJson(request)
    ? JSON.stringify({ partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: 'user ali is too old' } })
    : String.fromCharCode(0x0a, 2, 0x08, rejected),
});

for (const encoding of ['protobuf', 'json'])
  sinkConformance(
    { describe, it },
    {
      name: `otlp in ${encoding}`,
      start: () => Receiver.start(),
      open: ({ server }, deps) =>
        open(
          [
            `url: ${server.url}`,
            `encoding: ${encoding}`,
            'headers: { Authorization: "Bearer ${T}" }',
            'compression: none',
            'timeout: 5s',
          ],
          deps,
        ),
      arrivals: ({ logs }) =>
        logs.map(({ body, resource }) => ({
          text: body,
          isStatus: resource['service.name'] === 'qasphere-siem-forwarder',
        })),
      secrets: [token],
      connections: ({ server }) => server.connections,
      fail: (at) => {
        at.fault = { status: 503, body: token };
      },
      refuse: (at) => {
        at.fault = { status: 401, body: `bad token ${token}` };
      },
      reject: (at, id) => {
        at.rejected = `{"id":${id},`;
      },
      stall: (at) => {
        at.fault = 'hang';
      },
      recover: (at) => {
        at.fault = undefined;
      },
    },
  );

describe('a request of the otlp sink', () => {
  it.each(['protobuf', 'json'])('carries the record, its time, severity and attributes in %s', async (encoding) => {
    await using server = await HttpEndpointServer.start(success);
    await using sink = open([`url: ${server.url}`, `encoding: ${encoding}`, 'compression: none']);
    const text =
      '{"id":9007199254740993,"user":{"id":18,"name":"Ali","email":"ali@acme.test"},"action":"user.role_updated","ip":"203.0.113.7","createdAt":"2026-11-23T10:00:00.123Z"}';
    const event = auditEvent({ id: 9007199254740993n, text: Buffer.from(text), receivedAtMs: 1_700_000_000_000 });
    const record = { event, redacted: event, record: event.text };
    expect(await sink.send({ records: [record] }, alive)).toEqual({ kind: 'accepted' });
    const [request] = server.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/v1/logs' });
    expect(request?.headers).toMatchObject({
      'content-type': encoding === 'json' ? 'application/json' : 'application/x-protobuf',
    });
    expect(request && logsIn(request)).toEqual([
      {
        timeUnixNano: 1_795_428_000_123_000_000n,
        observedTimeUnixNano: 1_700_000_000_000_000_000n,
        severityNumber: 13,
        severityText: 'WARN',
        body: text,
        attributes: {
          'event.id': '9007199254740993',
          'event.name': 'user.role_updated',
          'user.id': '18',
          'user.email': 'ali@acme.test',
          'client.address': '203.0.113.7',
        },
        resource: { 'service.name': 'qasphere', 'qasphere.tenant': 'acme.eu1.qasphere.com' },
        scope: { name: 'qasphere-siem-forwarder', version: '0.0.0-test' },
      },
    ]);
  });

  it('takes attributes from the redacted event', async () => {
    await using server = await HttpEndpointServer.start(success);
    await using sink = open([`url: ${server.url}`, 'encoding: json']);
    const [event, redacted] = ['ali@acme.test', '[redacted]'].map((email) =>
      eventOf(`{"id":1,"user":{"email":"${email}"},"action":"a.b","ip":null}`),
    );
    if (event === undefined || redacted === undefined) throw new Error('no events');
    await sink.send({ records: [{ event, redacted, record: redacted.text }] }, alive);
    expect(server.requests[0]?.body).not.toContain('ali@acme.test');
    expect(server.requests[0]?.body).toContain('[redacted]');
  });

  it('is compressed unless configured otherwise', async () => {
    await using server = await HttpEndpointServer.start(success);
    await using sink = open([`url: ${server.url}`, 'encoding: json']);
    await sink.send(batchOf(1), alive);
    expect(server.requests[0]?.headers['content-encoding']).toBe('gzip');
  });

  it.each([
    ['', '/v1/logs'],
    ['/', '/v1/logs'],
    ['/otlp/logs', '/otlp/logs'],
    ['/otlp/logs?x=1', '/otlp/logs?x=1'],
  ])('with the URL path “%s” is posted to %s', async (path, expected) => {
    await using server = await HttpEndpointServer.start(success);
    await using sink = open([`url: ${server.url}${path}`]);
    await sink.send(batchOf(1), alive);
    expect(server.requests[0]?.path).toBe(expected);
  });

  it('keeps every record in both encodings, whatever it contains', async () => {
    await using server = await HttpEndpointServer.start(success);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }), async (texts) => {
        const records = texts.map((text, index) =>
          recordOf(`{"id":${index + 1},"action":${JSON.stringify(text.toWellFormed())}}`),
        );
        for (const encoding of ['protobuf', 'json']) {
          await using sink = open([`url: ${server.url}`, `encoding: ${encoding}`, 'compression: none']);
          expect(await sink.send({ records }, alive)).toEqual({ kind: 'accepted' });
          const request = server.requests.at(-1);
          expect(request && logsIn(request).map(({ body }) => body)).toEqual(
            records.map(({ record }) => String(record)),
          );
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('the verdict of the otlp sink', () => {
  it.each(['protobuf', 'json'])(
    'rejects a batch of which a part is rejected, in %s, and quotes nothing of the records',
    async (encoding) => {
      await using server = await HttpEndpointServer.start((request) => partial(request, 1));
      await using sink = open([`url: ${server.url}`, `encoding: ${encoding}`]);
      const verdict = { kind: 'reject', reason: 'malformed', detail: 'the receiver rejects 1 of 3 records' };
      expect(await sink.send(batchOf(1, 3), alive)).toEqual(verdict);
    },
  );

  it.each(['protobuf', 'json'])(
    'accepts a message without rejected records in %s: it is a warning',
    async (encoding) => {
      await using server = await HttpEndpointServer.start((request) => partial(request, 0));
      await using sink = open([`url: ${server.url}`, `encoding: ${encoding}`]);
      expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    },
  );

  it('does not take an unreadable response for an acceptance', async () => {
    await using server = await HttpEndpointServer.start((request) => ({ ...success(request), body: '{"partialSuc' }));
    await using sink = open([`url: ${server.url}`, 'encoding: json']);
    expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind: 'retry', reason: 'server' });
  });

  it.each([
    [429, 'retry'],
    [502, 'retry'],
    [503, 'retry'],
    [504, 'retry'],
    [401, 'stop'],
    [403, 'stop'],
    [404, 'stop'],
  ])('on %d for every request is %s', async (status, kind) => {
    await using server = await HttpEndpointServer.start(() => ({ status }));
    await using sink = open([`url: ${server.url}`]);
    expect(await sink.send(batchOf(1), alive)).toMatchObject({ kind });
  });

  it('on 400 for one record, while an empty request passes, is reject', async () => {
    await using server = await HttpEndpointServer.start((request) =>
      request.body.includes(textOf(1)) ? { status: 400 } : success(request),
    );
    await using sink = open([`url: ${server.url}`, 'encoding: json']);
    expect(await sink.send({ records: [recordOf('{"id":1}')] }, alive)).toEqual({ kind: 'accepted' });
    await using other = await HttpEndpointServer.start((request) =>
      logsIn(request).length > 0 ? { status: 400 } : success(request),
    );
    await using refused = open([`url: ${other.url}`, 'encoding: json']);
    expect(await refused.send(batchOf(1), alive)).toMatchObject({ kind: 'reject' });
  });
});

describe('the options of the otlp sink', () => {
  it.each([
    [['url: grpc://a:4317'], /url: write https:\/\/host\/path/],
    [['url: https://a', 'encoding: text'], /encoding/],
    [['url: http://otel.example.com:4318'], /url: http:\/\/ would send/],
    [['url: https://a', 'headers: { Host: a }'], /Host: is set by the program/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: otlp', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });
});
