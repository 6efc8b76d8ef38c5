import { afterEach, describe, expect, it } from 'vitest';
import { openSyslog } from '../../src/sink/syslog/sink.ts';
import { type Rsyslog, rsyslogMissing, startRsyslog } from '../support/rsyslog.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../support/syslog.ts';

const missing = rsyslogMissing();

const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`the syslog sink and a real rsyslog${skipped}`, () => {
  let rsyslog: Rsyslog | undefined;
  afterEach(async () => {
    await rsyslog?.stop();
    rsyslog = undefined;
  });

  const events = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      encoded(
        eventOf({
          id: index + 1,
          user: { id: 7, name: 'Zoë "Q" ]\\', email: 'zoe@example.com' },
          action: 'user.login',
          ip: '192.0.2.7',
          userAgent: 'x\n<13>1 2026-01-01T00:00:00Z evil root - - - forged',
          createdAt: '2026-11-23T10:20:30.456Z',
          meta: { note: 'שלום 🦊' },
        }),
      ),
    );

  it('gives every record once, in order, with its fields, over tcp', async () => {
    rsyslog = await startRsyslog();
    const deps = sinkDeps();
    await using sink = openSyslog(options({ address: `tcp://127.0.0.1:${rsyslog.port}` }), deps);
    const records = events(20_000);
    const driven = await drive(sink, records);
    expect(driven).toEqual({ setAside: [], retries: [], sent: 20_000 });
    const lines = await rsyslog.waitForLines(20_000);
    expect(lines.map((line) => line.msg)).toEqual(records.map((one) => one.record.toString()));
    expect(lines[41]).toMatchObject({
      pri: '110',
      time: '2026-11-23T10:20:30.456Z',
      host: 'acme.eu1.qasphere.com',
      app: 'qasphere',
      msgid: 'user.login',
      sd: '[qasphere@32473 id="42" action="user.login" user="zoe@example.com" src="192.0.2.7" tenant="acme.eu1.qasphere.com"]',
    });
  });

  it('gives every record over udp on loopback', async () => {
    rsyslog = await startRsyslog({ inputs: [{ type: 'imudp' }] });
    await using sink = openSyslog(options({ address: `udp://127.0.0.1:${rsyslog.port}` }), sinkDeps());
    const records = events(2_000);
    await drive(sink, records);
    const lines = await rsyslog.waitForLines(2_000);
    expect(lines.map((line) => line.msg)).toEqual(records.map((one) => one.record.toString()));
  });

  it('gives every record to a local datagram socket, in either format', async () => {
    rsyslog = await startRsyslog({
      inputs: [
        { type: 'imuxsock', parameters: { useSpecialParser: 'off', parseHostname: 'on', ignoreTimestamp: 'off' } },
        { type: 'imuxsock' },
      ],
    });
    const records = events(3_000);
    await using full = openSyslog(options({ address: `unix://${rsyslog.paths[0]}` }), sinkDeps());
    expect(await full.probe(new AbortController().signal)).toEqual({ kind: 'accepted' });
    await drive(full, records);
    await rsyslog.waitForLines(3_000);
    await using local = openSyslog(options({ address: `unix://${rsyslog.paths[1]}`, rfc: 3164 }), sinkDeps());
    await drive(local, records.slice(0, 10));
    const lines = await rsyslog.waitForLines(3_010);
    expect(lines.slice(0, 3_000).map((line) => line.msg)).toEqual(records.map((one) => one.record.toString()));
    expect(lines[5]).toMatchObject({ host: 'acme.eu1.qasphere.com', app: 'qasphere', msgid: 'user.login', pri: '110' });
    expect(lines[3_000]).toMatchObject({ app: 'qasphere', pri: '110', msg: ` ${records[0]?.record}` });
  });
});
