import { X509Certificate } from 'node:crypto';
import dns from 'node:dns';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { splunkHecOptions } from '../../../src/sinks/splunk-hec/options.ts';
import { type Certificates, certificates, hasOpenssl, pem } from '../../support/certificates.ts';
import { alive, collector, idsOf } from '../../support/hec-sink.ts';
import { batchOf } from '../../support/sink-parts.ts';

describe('the connection of a splunk-hec sink', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('tries every address that the name resolves to', async () => {
    const addresses = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.1'].map((address) => ({ address, family: 4 }));
    const lookup = (
      _: string,
      options: { all?: boolean },
      done: (error: null, found: unknown, family?: number) => void,
    ) => (options.all === true ? done(null, addresses) : done(null, addresses[0]?.address, 4));
    vi.spyOn(dns, 'lookup').mockImplementation(lookup as never);
    await using at = await collector();
    await using named = await collector({
      options: { url: at.hec.url.replace('127.0.0.1', 'splunk.test'), token: at.hec.token, allowPlainHttp: true },
    });
    expect(await named.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1]);
  });
});

describe.skipIf(!hasOpenssl)('TLS of a splunk-hec sink (needs openssl)', () => {
  let made: Certificates;
  let server: ReturnType<Certificates['certificate']>;
  beforeAll(() => {
    made = certificates();
    server = made.certificate('splunk.test');
  });
  afterAll(() => made[Symbol.dispose]());

  const https = (more: object = {}) => ({ tls: { key: pem(server.key), cert: pem(server.cert), ...more } });

  it('delivers to a certificate of the configured authority', async () => {
    await using at = await collector({ server: https(), options: { tls: { caFile: made.ca } } });
    expect(await at.sink.send(batchOf(1, 2), alive)).toEqual({ kind: 'accepted' });
    expect(idsOf(at.hec)).toEqual([1, 2]);
  });

  it('reports once per connection when the certificate expires', async () => {
    await using at = await collector({ server: https(), options: { tls: { caFile: made.ca } } });
    await at.sink.send(batchOf(1), alive);
    await at.sink.send(batchOf(2), alive);
    const endsAtMs = Date.parse(new X509Certificate(pem(server.cert)).validTo);
    const reported = at.heard.filter(({ event }) => event === 'tls.certificate');
    expect(reported).toEqual([{ event: 'tls.certificate', peer: 'sink/hec', whose: 'server', endsAtMs }]);
  });

  it('stops at a certificate of an unknown authority, and says what to do', async () => {
    await using at = await collector({ server: https() });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringContaining('tls.caFile'),
    });
    expect(at.hec.requests).toEqual([]);
  });

  it('stops at a certificate for another name', async () => {
    await using at = await collector({
      server: https(),
      options: { tls: { caFile: made.ca, servername: 'other.test' } },
    });
    expect(await at.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('tls.servername'),
    });
  });

  it('accepts only the pinned certificate', async () => {
    const other = made.certificate('other.test');
    await using right = await collector({
      server: https(),
      options: { tls: { caFile: made.ca, fingerprint256: server.fingerprint256 } },
    });
    await using wrong = await collector({
      server: https(),
      options: { tls: { caFile: made.ca, fingerprint256: other.fingerprint256 } },
    });
    expect(await right.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    expect(await wrong.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('fingerprint256'),
    });
    expect(wrong.hec.requests).toEqual([]);
  });

  it('refuses to pin a certificate without verification, which would check neither', () => {
    const tls = { insecureSkipVerify: true, fingerprint256: server.fingerprint256 };
    const parsed = splunkHecOptions.safeParse({ type: 'splunk-hec', url: 'https://splunk.test:8088', token: 't', tls });
    expect(parsed.error?.issues).toMatchObject([{ path: ['tls', 'insecureSkipVerify'] }]);
  });

  it('trusts a self-signed certificate that is named as its own authority', async () => {
    const own = made.certificate('own.test', 'itself');
    await using at = await collector({
      server: { tls: { key: pem(own.key), cert: pem(own.cert) } },
      options: { tls: { caFile: own.cert, fingerprint256: own.fingerprint256 } },
    });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('accepts any certificate if that is configured', async () => {
    await using at = await collector({ server: https(), options: { tls: { insecureSkipVerify: true } } });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
  });

  it('presents its own certificate if one is requested, and stops if it has none', async () => {
    const client = made.certificate('forwarder.test');
    const asking = https({ requestCert: true, rejectUnauthorized: true, ca: pem(made.ca) });
    await using at = await collector({
      server: asking,
      options: { tls: { caFile: made.ca, certFile: client.cert, keyFile: client.key } },
    });
    expect(await at.sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    await using without = await collector({ server: asking, options: { tls: { caFile: made.ca } } });
    expect(await without.sink.send(batchOf(1), alive)).toMatchObject({ kind: expect.stringMatching(/stop|retry/) });
    expect(without.hec.requests).toEqual([]);
  });

  it('stops if the port does not speak TLS', async () => {
    await using at = await collector();
    await using wrong = await collector({ options: { url: at.hec.url.replace('http:', 'https:') } });
    expect(await wrong.sink.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('does not speak TLS'),
    });
  });
});
