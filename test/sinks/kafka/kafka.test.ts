import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupsOf } from '../../../src/sinks/kafka/messages.ts';
import type { KafkaOptions } from '../../../src/sinks/kafka/options.ts';
import { errorVerdict } from '../../../src/sinks/kafka/verdicts.ts';
import { definitionOf } from '../../../src/sinks/registry.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { batchOf, recordOf, sinkDeps } from '../../support/sink-parts.ts';

// Against a real broker: test/destinations/kafka.test.ts.

const env = { QASPHERE_API_KEY: 'k', SECRET: 'obviously-fake-secret' };
const base = ['brokers: ["127.0.0.1:9"]', 'topic: audit'];
const about = { topic: 'audit', brokers: ['127.0.0.1:9'] };

function configured(...lines: string[]) {
  const [sink] = configOf(load(withSink('type: kafka', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return sink;
}

/** An error as the library nests it. */
const failure = (...codes: Record<string, unknown>[]): Error =>
  codes.reduceRight<Error>(
    (cause, members) =>
      Object.assign(new AggregateError([cause], 'quotes obviously-fake-secret'), {
        code: 'PLT_KFK_MULTIPLE',
        ...members,
      }),
    new Error('cause'),
  );

describe('the groups of a batch for Kafka', () => {
  const day = 86_400_000;
  const options = (key: string) => ({ topic: 'audit', key }) as KafkaOptions;

  it('hold every record once, in order within its partition, and no two times 24 days apart', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3_000), fc.nat(5)), { minLength: 1, maxLength: 40 }), (entries) => {
        const records = entries.map(([days, user], index) =>
          recordOf(`{"id":${index + 1},"user":{"id":${user}},"createdAt":"${new Date(days * day).toISOString()}"}`),
        );
        const groups = groupsOf({ records }, options('user'), 'acme', (key) => Number(String(key)) % 3);
        expect(groups.flatMap(({ indexes }) => indexes).toSorted((a, b) => a - b)).toEqual(
          records.map((_, index) => index),
        );
        for (let partition = 0; partition < 3; partition++) {
          const indexes = groups.filter((group) => group.partition === partition).flatMap((group) => group.indexes);
          expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
        }
        for (const { messages } of groups) {
          const first = messages[0]?.timestamp ?? 0n;
          for (const { timestamp = 0n } of messages) expect(Math.abs(Number(timestamp - first))).toBeLessThan(2 ** 31);
        }
      }),
    );
  });

  it.each([
    ['tenant', 'acme'],
    ['user', '7'],
    ['none', undefined],
  ])('have the key %s', (key, expected) => {
    const records = [recordOf('{"id":1,"user":{"id":7}}')];
    const [group] = groupsOf({ records }, options(key), 'acme', () => 0);
    expect(group?.messages[0]?.key?.toString()).toBe(expected);
  });
});

describe('the verdict on an error of the Kafka library', () => {
  it.each([
    [[{ apiId: 'MESSAGE_TOO_LARGE' }], { kind: 'reject', reason: 'too_large' }],
    [[{ apiId: 'INVALID_RECORD' }], { kind: 'reject', reason: 'malformed' }],
    [
      [{ code: 'PLT_KFK_NETWORK' }, { code: 'PLT_KFK_AUTHENTICATION' }, { apiId: 'SASL_AUTHENTICATION_FAILED' }],
      { kind: 'stop', reason: 'auth' },
    ],
    [[{ apiId: 'TOPIC_AUTHORIZATION_FAILED' }], { kind: 'stop', reason: 'auth' }],
    [[{ apiId: 'UNKNOWN_TOPIC_OR_PARTITION' }], { kind: 'stop', reason: 'address' }],
    [[{ code: 'PLT_KFK_NETWORK' }, { code: 'ECONNREFUSED' }], { kind: 'retry', reason: 'network' }],
    [[{ code: 'PLT_KFK_NETWORK' }, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }], { kind: 'stop', reason: 'auth' }],
    [[{ code: 'PLT_KFK_TIMEOUT' }], { kind: 'retry', reason: 'timeout' }],
    [[{ apiId: 'NOT_ENOUGH_REPLICAS' }], { kind: 'retry', reason: 'server' }],
  ])('%j is %j, and quotes no message', (codes, verdict) => {
    const found = errorVerdict(failure(...codes), about);
    expect(found).toMatchObject(verdict);
    expect(JSON.stringify(found)).not.toContain('obviously-fake-secret');
  });

  it('is no verdict if the error is not the library’s', () => {
    expect(() => errorVerdict(new TypeError('x is not a function'), about)).toThrow(TypeError);
  });
});

describe('the kafka sink', () => {
  it('answers with retry while no broker is reachable, and closes', async () => {
    const sink = configured(...base, 'timeout: 2s');
    await using opened = definitionOf(sink).open(sink, sinkDeps());
    expect(await opened.send(batchOf(1), new AbortController().signal)).toMatchObject({
      kind: 'retry',
      reason: 'network',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('warns about a secret in clear', () => {
    const sink = configured(...base, 'sasl: { mechanism: plain, username: u, password: "${SECRET}" }');
    expect(definitionOf(sink).warnings?.(sink)).toEqual(['plain without tls sends the secret in clear']);
  });
});

describe('the options of the kafka sink', () => {
  it.each([
    [['topic: audit'], /brokers/],
    [['brokers: []', 'topic: a'], /brokers: must name at least one broker/],
    [['brokers: [kafka]', 'topic: a'], /brokers\[0\]: write host:port/],
    [['brokers: ["a:1"]', 'topic: "a b"'], /topic: is not the name of a topic/],
    [[...base, 'key: id'], /key/],
    [[...base, 'proxy: http://a:1'], /proxy/],
    [[...base, 'sasl: { mechanism: plain, username: u }'], /sasl\.password: requires password or passwordFile/],
    [[...base, 'sasl: { mechanism: plain, password: p }'], /sasl\.username: is required/],
    [
      [...base, 'sasl: { mechanism: oauthbearer, password: p }'],
      /sasl\.password: has no effect with mechanism: oauthbearer/,
    ],
    [[...base, 'sasl: { mechanism: oauthbearer }'], /sasl\.token: requires token or tokenFile/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: kafka', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });
});
