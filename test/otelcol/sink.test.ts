import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accepted } from '../../src/lib/verdict.ts';
import { Authority, certificatesMissing, type Leaf } from '../support/authority.ts';
import { alive, delivered } from '../support/hec-sink.ts';
import { hostileEvents } from '../support/hostile-events.ts';
import { batchOf, recordOf, textOf } from '../support/sink-parts.ts';
import { collectorMissing, startCollector } from './collector.ts';
import { batchesOf, meaningOf, openSink, token } from './sinks.ts';

const missing = collectorMissing ?? certificatesMissing;
const because = missing === undefined ? '' : ` (skipped: ${missing})`;
const switches = [true, false].flatMap((acknowledgement) =>
  (['gzip', 'none'] as const).flatMap((compression) =>
    [true, false].map((encrypted) => ({ acknowledgement, compression, encrypted })),
  ),
);

describe.skipIf(missing !== undefined)(`a splunk-hec sink before an OpenTelemetry Collector${because}`, () => {
  let authority: Authority;
  let leaf: Leaf;
  beforeAll(() => {
    authority = new Authority();
    leaf = authority.leaf();
  });
  afterAll(() => authority[Symbol.dispose]());

  it.each(switches)(
    'delivers hostile events unaltered, once and in order: acknowledgement $acknowledgement, compression $compression, TLS $encrypted',
    async ({ acknowledgement, compression, encrypted }) => {
      await using collector = await startCollector({ acknowledgement, ...(encrypted && { tls: leaf }) });
      const tls = encrypted ? { tls: { caFile: authority.caFile } } : {};
      await using at = openSink(collector, { options: { acknowledgement, compression, ...tls } });
      const texts = fc.sample(hostileEvents, 300).flatMap((events) => events.map(({ event }) => event.text.toString()));
      for (const batch of batchesOf(texts.map(recordOf), 500)) expect(await delivered(at.sink, batch)).toBe(accepted);
      await collector.stop();
      const received = collector.received();
      expect(received).toHaveLength(texts.length);
      const altered = texts.findIndex((text, index) => !isDeepStrictEqual(received[index]?.event, meaningOf(text)));
      expect(altered, `${texts[altered]} became ${JSON.stringify(received[altered]?.event)}`).toBe(-1);
    },
  );

  it('says where events come from, when they happened and with which token, as configured', async () => {
    await using collector = await startCollector();
    const fields = { env: 'prod', team: ['audit', 'sécurité'] };
    await using at = openSink(collector, { options: { index: 'security', host: 'qa', source: 'us', fields } });
    expect(await delivered(at.sink, batchOf(1, 999))).toBe(accepted);
    await collector.stop();
    const received = collector.received();
    expect(received.map(({ timeMs }) => timeMs)).toEqual(
      Array.from({ length: 999 }, (_, index) => Date.UTC(2026, 2, 1, 10, 0, 0, index + 1)),
    );
    for (const one of received) expect(one.fields).toEqual(fields);
    expect(received[0]?.resource).toEqual({
      'host.name': 'qa',
      'com.splunk.source': 'us',
      'com.splunk.sourcetype': 'qasphere:audit',
      'com.splunk.index': 'security',
      'com.splunk.hec.access_token': token,
    });
  });

  it('names the tenant and itself by default, and sends an event without a date without a time', async () => {
    await using collector = await startCollector();
    await using at = openSink(collector);
    const undated = textOf(1).replace(/"2026[^"]*"/, '"yesterday"');
    expect(await delivered(at.sink, { records: [recordOf(undated)] })).toBe(accepted);
    await collector.stop();
    expect(collector.received()).toEqual([
      {
        event: JSON.parse(undated),
        timeMs: 0,
        fields: {},
        resource: {
          'host.name': 'acme.eu1.qasphere.com',
          'com.splunk.source': 'qasphere-siem-forwarder',
          'com.splunk.sourcetype': 'qasphere:audit',
          'com.splunk.hec.access_token': token,
        },
      },
    ]);
  });

  it('delivers records that are no JSON as text', async () => {
    await using collector = await startCollector();
    const format = { name: 'cef', json: false, encode: () => Buffer.alloc(0) };
    await using at = openSink(collector, { deps: { format } });
    const texts = ['CEF:0|a|b|1|"c"|d|5|msg=é \\= x', 'metric', 'CEF:0|tab\there|\u2028'];
    const sent = { records: texts.map((text, id) => ({ ...recordOf(textOf(id)), record: Buffer.from(text) })) };
    expect(await delivered(at.sink, sent)).toMatchObject({ kind: 'reject' });
    const records = sent.records.filter((_, index) => index !== 1);
    expect(await delivered(at.sink, { records })).toBe(accepted);
    await collector.stop();
    expect(collector.received().map(({ event }) => event)).toEqual([texts[0], texts[2]]);
  });

  it('shows its client certificate, and says what to do where it has none', async () => {
    await using collector = await startCollector({ tls: { ...leaf, clientCaFile: authority.caFile } });
    const { caFile } = authority;
    const { certFile, keyFile } = authority.leaf({ commonName: 'forwarder' });
    await using known = openSink(collector, { options: { tls: { caFile, certFile, keyFile } } });
    await using unknown = openSink(collector, { options: { tls: { caFile } } });
    expect(await delivered(known.sink, batchOf(1, 3))).toBe(accepted);
    expect(await unknown.sink.send(batchOf(4), alive)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringContaining('tls.certFile'),
    });
    await collector.stop();
    expect(collector.received()).toHaveLength(3);
  });

  it.each([true, false])('stops where TLS is spoken on one side alone (on the collector’s: %s)', async (encrypted) => {
    await using collector = await startCollector(encrypted ? { tls: leaf } : {});
    const url = encrypted ? collector.url.replace('https', 'http') : collector.url.replace('http', 'https');
    for (const acknowledgement of ['auto', false]) {
      await using at = openSink({ ...collector, url }, { options: { acknowledgement } });
      expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
        kind: 'stop',
        detail: expect.stringMatching(encrypted ? /HTTP request to an HTTPS server/ : /does not speak TLS/),
      });
    }
  });
});
