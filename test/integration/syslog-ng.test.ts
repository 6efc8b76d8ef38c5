import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventValue } from '../../src/event/event.ts';
import { openSyslog } from '../../src/sinks/syslog/definition.ts';
import { Authority, certificatesMissing, type Leaf } from '../support/authority.ts';
import { hostileEvent, seeded } from '../support/hostile.ts';
import { freePort } from '../support/rsyslog.ts';
import { drive, encoded, eventOf, options, parametersOf, sinkDeps } from '../support/syslog.ts';
import { startSyslogNg, syslogNgMissing } from '../support/syslog-ng.ts';

const never = new AbortController().signal;
const missing = certificatesMissing ?? syslogNgMissing;
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`the syslog sink and a real syslog-ng${skipped}`, () => {
  let authority: Authority;
  let server: Leaf;
  let client: Leaf;
  let directory: string;
  beforeAll(() => {
    authority = new Authority();
    server = authority.leaf();
    client = authority.leaf({ commonName: 'forwarder' });
    directory = mkdtempSync(join(tmpdir(), 'syslog-ng-'));
  });
  afterAll(() => {
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const tlsBlock = () =>
    `tls(key-file("${server.keyFile}") cert-file("${server.certFile}") ca-file("${authority.caFile}") peer-verify(required-trusted))`;
  const tls = () => ({ caFile: authority.caFile, ...client });
  const loopback = (port: number) => `ip("127.0.0.1") port(${port})`;

  const ways: readonly (readonly [
    string,
    'imtcp' | 'imudp' | 'imuxsock',
    (port: number, path: string) => string,
    (port: number, path: string) => Record<string, unknown>,
  ])[] = [
    [
      'syslog() over tcp',
      'imtcp',
      (port) => `syslog(${loopback(port)} transport("tcp"))`,
      (port) => ({ address: `tcp://127.0.0.1:${port}` }),
    ],
    [
      'network() over tcp',
      'imtcp',
      (port) => `network(${loopback(port)} transport("tcp") flags(syslog-protocol))`,
      (port) => ({ address: `tcp://127.0.0.1:${port}`, framing: 'newline' }),
    ],
    [
      'syslog() over tls',
      'imtcp',
      (port) => `syslog(${loopback(port)} transport("tls") ${tlsBlock()})`,
      (port) => ({ address: `tls://localhost:${port}`, tls: tls() }),
    ],
    [
      'network() over tls',
      'imtcp',
      (port) => `network(${loopback(port)} transport("tls") flags(syslog-protocol) ${tlsBlock()})`,
      (port) => ({ address: `tls://localhost:${port}`, framing: 'newline', tls: tls() }),
    ],
    [
      'syslog() over udp',
      'imudp',
      (port) => `syslog(${loopback(port)} transport("udp") so-rcvbuf(1048576))`,
      (port) => ({ address: `udp://127.0.0.1:${port}`, maxMessageBytes: 8000 }),
    ],
    [
      'unix-dgram()',
      'imuxsock',
      (_, path) => `unix-dgram("${path}" flags(syslog-protocol))`,
      (_, path) => ({ address: `unix://${path}` }),
    ],
    [
      'unix-stream()',
      'imuxsock',
      (_, path) => `unix-stream("${path}" flags(syslog-protocol))`,
      (_, path) => ({ address: `unix://${path}` }),
    ],
  ];

  it.each(ways)(
    'delivers every hostile record once, in order, with the fields sent, to %s',
    async (_, type, source, to) => {
      const port = await freePort(type);
      const path = join(directory, `${ways.findIndex(([name]) => name === _)}`);
      const ready = type === 'imuxsock' ? { path } : type === 'imtcp' ? { port } : {};
      await using collector = await startSyslogNg(source(port, path), ready);
      await using sink = openSyslog(options(to(port, path)), sinkDeps());
      expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
      const random = seeded(7);
      const records = Array.from({ length: 2_000 }, (_, index) => encoded(hostileEvent(index + 1, random)));
      const driven = await drive(sink, records);
      expect(driven.retries).toEqual([]);
      const set = new Set(driven.setAside.map(({ id }) => id));
      const delivered = records.filter(({ event }) => !set.has(event.id));
      const lines = await collector.waitForLines(delivered.length);
      expect(lines.length).toBe(delivered.length);
      for (const [index, line] of lines.entries()) {
        const event = delivered[index]?.event;
        if (event === undefined) throw new Error('a record that was not sent');
        expect(line).toMatchObject({ host: 'acme.eu1.qasphere.com', app: 'qasphere' });
        const value = JSON.parse(line.msg);
        expect(line.sd['id']).toBe(String(event.id));
        if (line.sd['truncated'] === 'true') expect(value.truncated).toBe(true);
        else {
          const parameters = Object.entries(line.sd).filter(([, one]) => one !== '');
          expect(Object.fromEntries(parameters)).toEqual(parametersOf(event));
          expect(JSON.stringify(value)).toBe(JSON.stringify(eventValue(event)));
        }
      }
    },
  );

  it('reports that a client certificate is missing', async () => {
    const port = await freePort('imtcp');
    await using _collector = await startSyslogNg(`syslog(${loopback(port)} transport("tls") ${tlsBlock()})`, { port });
    const given = options({ address: `tls://127.0.0.1:${port}`, tls: { caFile: authority.caFile } });
    await using sink = openSyslog(given, sinkDeps());
    expect(await sink.probe(never)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringMatching(/tls\.certFile/),
    });
  });

  it('delivers a meta of 60 KiB whole if both ends allow it', async () => {
    const port = await freePort('imtcp');
    await using collector = await startSyslogNg(`syslog(${loopback(port)} log-msg-size(131072))`, { port });
    const given = options({ address: `tcp://127.0.0.1:${port}`, maxMessageBytes: '100KiB' });
    await using sink = openSyslog(given, sinkDeps());
    const big = encoded(eventOf({ id: 1, meta: { note: '🦊'.repeat(15 * 1024) } }));
    await drive(sink, [big]);
    const [line] = await collector.waitForLines(1);
    expect(JSON.parse(line?.msg ?? '')).toEqual(eventValue(big.event));
  });
});
