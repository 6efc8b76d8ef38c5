import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Encoded } from '../../src/event/event.ts';
import { eventValue } from '../../src/event/event.ts';
import { openSyslog } from '../../src/sinks/syslog/definition.ts';
import { Authority, certificatesMissing, type Leaf } from '../support/authority.ts';
import { hostileEvent, seeded } from '../support/hostile.ts';
import { type Rsyslog, type RsyslogInput, type RsyslogLine, rsyslogMissing, startRsyslog } from '../support/rsyslog.ts';
import { drive, encoded, eventOf, options, parametersOf, sinkDeps } from '../support/syslog.ts';

const never = new AbortController().signal;
const missing = certificatesMissing ?? rsyslogMissing('imrelp', 'lmnsd_ossl', 'lmnsd_gtls');
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`the syslog sink and a real rsyslog${skipped}`, () => {
  let authority: Authority;
  let server: Leaf;
  let client: Leaf;
  let rsyslog: Rsyslog | undefined;
  beforeAll(() => {
    authority = new Authority();
    server = authority.leaf();
    client = authority.leaf({ commonName: 'forwarder.example.com', names: 'DNS:forwarder.example.com' });
  });
  afterAll(() => authority[Symbol.dispose]());
  afterEach(async () => {
    await rsyslog?.stop();
    rsyslog = undefined;
  });

  const imtcpTls = (driver: 'ossl' | 'gtls'): RsyslogInput => ({
    type: 'imtcp',
    parameters: {
      'streamDriver.name': driver,
      'streamDriver.mode': '1',
      'streamDriver.authMode': 'x509/name',
      'streamDriver.CAFile': authority.caFile,
      'streamDriver.certFile': server.certFile,
      'streamDriver.keyFile': server.keyFile,
      permittedPeer: 'forwarder.example.com',
    },
  });
  const imrelpTls = (): RsyslogInput => ({
    type: 'imrelp',
    parameters: {
      tls: 'on',
      'tls.caCert': authority.caFile,
      'tls.myCert': server.certFile,
      'tls.myPrivKey': server.keyFile,
      'tls.authMode': 'name',
      'tls.permittedPeer': 'forwarder.example.com',
    },
  });
  const tls = () => ({ caFile: authority.caFile, ...client });
  const imuxsock: RsyslogInput = {
    type: 'imuxsock',
    parameters: { useSpecialParser: 'off', parseHostname: 'on', ignoreTimestamp: 'off' },
  };

  /** Every transport to rsyslog, each with the input that receives it. */
  const ways: readonly (readonly [
    string,
    () => RsyslogInput,
    (port: number, path: string) => Record<string, unknown>,
  ])[] = [
    ['udp', () => ({ type: 'imudp' }), (port) => ({ address: `udp://127.0.0.1:${port}`, maxMessageBytes: 8000 })],
    ['tcp', () => ({ type: 'imtcp' }), (port) => ({ address: `tcp://127.0.0.1:${port}` })],
    [
      'tcp with newlines',
      () => ({ type: 'imtcp' }),
      (port) => ({ address: `tcp://127.0.0.1:${port}`, framing: 'newline' }),
    ],
    ['tls to OpenSSL', () => imtcpTls('ossl'), (port) => ({ address: `tls://127.0.0.1:${port}`, tls: tls() })],
    ['tls to GnuTLS', () => imtcpTls('gtls'), (port) => ({ address: `tls://localhost:${port}`, tls: tls() })],
    ['relp', () => ({ type: 'imrelp' }), (port) => ({ address: `relp://127.0.0.1:${port}` })],
    ['relp+tls', imrelpTls, (port) => ({ address: `relp+tls://localhost:${port}`, tls: tls() })],
    ['a local datagram socket', () => imuxsock, (_, path) => ({ address: `unix://${path}` })],
  ];

  it.each(ways)('delivers every hostile record once, in order, with the fields sent, over %s', async (_, input, to) => {
    rsyslog = await startRsyslog({ inputs: [input()], global: { 'parser.escapeControlCharactersOnReceive': 'on' } });
    await using sink = openSyslog(options(to(rsyslog.port, rsyslog.paths[0] ?? '')), sinkDeps());
    expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
    const random = seeded(42);
    const records = Array.from({ length: 2_000 }, (_, index) => encoded(hostileEvent(index + 1, random)));
    const driven = await drive(sink, records);
    const lines = await rsyslog.waitForLines(records.length - driven.setAside.length);
    expect(driven.retries).toEqual([]);
    const set = new Set(driven.setAside.map(({ id }) => id));
    expectSame(
      lines,
      records.filter(({ event }) => !set.has(event.id)),
    );
  });

  /** rsyslog's own parser must have read what was sent: values in JSON, and the structured data. */
  function expectSame(lines: readonly RsyslogLine[], records: readonly Encoded[]): void {
    expect(lines.length).toBe(records.length);
    for (const [index, line] of lines.entries()) {
      const event = records[index]?.event;
      if (event === undefined) throw new Error('a record that was not sent');
      expect(line).toMatchObject({ host: 'acme.eu1.qasphere.com', app: 'qasphere', procid: '-' });
      const value = JSON.parse(line.msg);
      expect(line.parameters['id']).toBe(String(event.id));
      if (line.parameters['truncated'] === 'true') expect(value.truncated).toBe(true);
      else {
        expect(line.parameters).toEqual(parametersOf(event));
        expect(JSON.stringify(value)).toBe(JSON.stringify(eventValue(event)));
      }
    }
  }

  it('shortens a meta of 60 KiB at the default limit, and delivers it whole if both ends allow it', async () => {
    rsyslog = await startRsyslog({
      inputs: [{ type: 'imtcp' }, { type: 'imrelp' }],
      global: { maxMessageSize: '128k' },
    });
    const big = encoded(
      eventOf({ id: 1, action: 'user.login', meta: { note: '🦊'.repeat(15 * 1024), other: 'kept' } }),
    );
    for (const [index, scheme] of ['tcp', 'relp'].entries()) {
      const address = `${scheme}://127.0.0.1:${rsyslog.ports[index]}`;
      await using short = openSyslog(options({ address }), sinkDeps());
      await drive(short, [big]);
      await using whole = openSyslog(options({ address, maxMessageBytes: '100KiB' }), sinkDeps());
      await drive(whole, [big]);
      const lines = (await rsyslog.waitForLines(2 * index + 2)).slice(-2);
      const [cut, full] = lines
        .map((line) => JSON.parse(line.msg))
        .toSorted((a, b) => a.meta.note.length - b.meta.note.length);
      expect(full).toEqual(eventValue(big.event));
      expect(cut).toMatchObject({
        truncated: true,
        meta: { other: 'kept', note: expect.stringMatching(/^(🦊){500,}$/u) },
      });
    }
  });

  it('keeps records of every length from being split by rsyslog as shipped', async () => {
    rsyslog = await startRsyslog();
    await using sink = openSyslog(options({ address: `tcp://127.0.0.1:${rsyslog.port}` }), sinkDeps());
    const forged = ' <0>1 - evil root - - - forged';
    const records = [7_000, 7_800, 7_900, 8_000, 8_090, 8_097, 8_098, 9_000, 70_000].map((length, index) =>
      encoded(
        eventOf({ id: index + 1, meta: { note: forged.repeat(Math.ceil(length / forged.length)).slice(0, length) } }),
      ),
    );
    await drive(sink, records);
    const lines = await rsyslog.waitForLines(records.length);
    expect(lines.map((line) => JSON.parse(line.msg).id)).toEqual(records.map(({ event }) => Number(event.id)));
    expect(new Set(lines.map((line) => line.host))).toEqual(new Set(['acme.eu1.qasphere.com']));
  });

  it('is parsed by rsyslog as shipped at a local socket, in RFC 3164', async () => {
    rsyslog = await startRsyslog({ inputs: [{ type: 'imuxsock' }] });
    await using sink = openSyslog(options({ address: `unix://${rsyslog.paths[0]}`, rfc: 3164 }), sinkDeps());
    const record = encoded(eventOf({ id: 1, action: 'user.login_failed', createdAt: '2026-11-03T10:20:30.456Z' }));
    await drive(sink, [record]);
    const [line] = await rsyslog.waitForLines(1);
    expect(line).toMatchObject({ pri: '108', app: 'qasphere', procid: '-', msg: ` ${record.record}` });
  });

  // GnuTLS in rsyslog closes without an alert: the reason can only be asked for.
  it.each([
    ['ossl', 'stop'],
    ['gtls', 'retry'],
  ] as const)('reports that the client certificate is missing or wrong for driver %s', async (driver, kind) => {
    rsyslog = await startRsyslog({ inputs: [imtcpTls(driver)] });
    using others = new Authority('Somebody else');
    const address = `tls://127.0.0.1:${rsyslog.port}`;
    for (const given of [{ caFile: authority.caFile }, { caFile: authority.caFile, ...others.leaf() }]) {
      await using sink = openSyslog(options({ address, tls: given }), sinkDeps());
      for (const verdict of [
        await sink.probe(never),
        await sink.send({ records: [encoded(eventOf({ id: 1 }))] }, never),
      ])
        expect(verdict).toMatchObject({ kind, detail: expect.stringMatching(/client certificate/) });
    }
    expect(await rsyslog.lines()).toEqual([]);
  });
});
