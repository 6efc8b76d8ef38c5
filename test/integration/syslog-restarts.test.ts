import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Encoded } from '../../src/event/event.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { Connection } from '../../src/sinks/syslog/connection.ts';
import { Credentials } from '../../src/sinks/syslog/credentials.ts';
import { openSyslog } from '../../src/sinks/syslog/definition.ts';
import { openConnection } from '../../src/sinks/syslog/open-connection.ts';
import { StreamDelivery, streamDefaults } from '../../src/sinks/syslog/stream.ts';
import { loadTcpInfo } from '../../src/sinks/syslog/tcp-info.ts';
import { Authority, certificatesMissing, type Leaf } from '../support/authority.ts';
import { chance } from '../support/chance.ts';
import { type Rsyslog, type RsyslogInput, type RsyslogLine, rsyslogMissing, startRsyslog } from '../support/rsyslog.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../support/syslog.ts';

const missing = certificatesMissing ?? rsyslogMissing('imrelp', 'lmnsd_ossl');
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;
const events = 50_000;
const restarts = 10;
/** Records in the 4 MiB that a stream leaves unconfirmed at most. */
const streamWindow = (4 * 1024 ** 2) / 250;

describe.skipIf(missing !== undefined)(`a real rsyslog that is restarted${skipped}`, () => {
  let authority: Authority;
  let server: Leaf;
  let rsyslog: Rsyslog | undefined;
  beforeAll(() => {
    authority = new Authority();
    server = authority.leaf();
  });
  afterAll(() => authority[Symbol.dispose]());
  afterEach(async () => {
    await rsyslog?.stop();
    rsyslog = undefined;
  });

  const records = Array.from({ length: events }, (_, index) =>
    encoded(eventOf({ id: index + 1, action: 'user.login', ip: '192.0.2.7', createdAt: '2026-11-23T10:20:30.456Z' })),
  );
  const idOf = (line: RsyslogLine) => Number(/^\[\S+ id="(\d+)"/.exec(line.sd)?.[1]);

  const overTls = (): RsyslogInput => ({
    type: 'imtcp',
    parameters: {
      'streamDriver.name': 'ossl',
      'streamDriver.mode': '1',
      'streamDriver.authMode': 'anon',
      'streamDriver.CAFile': authority.caFile,
      'streamDriver.certFile': server.certFile,
      'streamDriver.keyFile': server.keyFile,
    },
  });

  const ways: readonly (readonly [string, () => RsyslogInput, (port: number) => Record<string, unknown>, number])[] = [
    ['relp', () => ({ type: 'imrelp' }), (port) => ({ address: `relp://127.0.0.1:${port}` }), 128],
    ['tcp', () => ({ type: 'imtcp' }), (port) => ({ address: `tcp://127.0.0.1:${port}` }), streamWindow],
    [
      'tls',
      overTls,
      (port) => ({ address: `tls://127.0.0.1:${port}`, tls: { caFile: authority.caFile } }),
      streamWindow,
    ],
  ];

  it.each(ways)(
    `with SIGTERM ${restarts} times amid ${events} events loses nothing over %s`,
    async (_, input, to, window) => {
      rsyslog = await startRsyslog({ inputs: [input()] });
      const collector = rsyslog;
      await using sink = openSyslog(options(to(collector.port)), sinkDeps());
      // Each restart begins when another twelfth is about to be sent, and continues meanwhile.
      let done = 0;
      let restarting = Promise.resolve();
      const driven = await drive(sink, records, async (batch) => {
        if (done === restarts || Number(batch.at(-1)?.event.id) < ((done + 1) * events) / (restarts + 2)) return;
        done++;
        await restarting;
        restarting = collector.restart();
      });
      await restarting;
      expect(done).toBe(restarts);
      await collector.terminate();
      const ids = (await collector.lines()).map(idOf);
      expect(driven.setAside).toEqual([]);
      expect(new Set(ids).size).toBe(events);
      // What came twice was unconfirmed at a reset. An ending rsyslog may still accept a connection and reset that one too.
      const twice = ids.length - events;
      expect(twice).toBeLessThanOrEqual(driven.sent - events);
      expect(twice).toBeLessThanOrEqual(2 * window * restarts);
      expect(driven.retries.length).toBeGreaterThanOrEqual(restarts / 2);
    },
  );

  /** An ending rsyslog discards what it has read of a TLS session, and one record more; its close looks like any other. */
  it('with SIGTERM at every second half-close loses nothing over tls', async () => {
    rsyslog = await startRsyslog({ inputs: [overTls()] });
    const collector = rsyslog;
    const { port } = collector;
    const random = chance(20261129);
    const where = `tls://127.0.0.1:${port}`;
    const tls = new Credentials(options({ address: where, tls: { caFile: authority.caFile } }).tls, sinkDeps(), where);
    const tcpInfo = loadTcpInfo();
    let halfCloses = 0;
    let restarting = Promise.resolve();
    const aboutToHalfClose = () => {
      if (halfCloses++ % 2 === 0) return;
      const soon = new Promise((resolve) => setTimeout(resolve, 20 * random()));
      restarting = Promise.all([restarting, soon]).then(() => collector.restart());
    };
    const open = async (signal: AbortSignal) => {
      const connection = await openConnection(
        { to: { host: '127.0.0.1', port }, where, tls, tcpInfo, timeoutMs: 30_000 },
        signal,
      );
      if (!(connection instanceof Connection)) return connection;
      const halfClose = connection.halfClose.bind(connection);
      connection.halfClose = (waitMs) => {
        aboutToHalfClose();
        return halfClose(waitMs);
      };
      return connection;
    };
    const rules = { ...streamDefaults, where, timeoutMs: 30_000, open };
    const delivery = new StreamDelivery(rules);
    const sent = records;
    const driven = await drive(sinkOf(delivery), sent);
    await restarting;
    await delivery.dispose();
    // The half-close of the disposal may have begun another.
    await restarting;
    await collector.terminate();
    expect(new Set((await collector.lines()).map(idOf)).size).toBe(sent.length);
    expect(driven.retries.length).toBeGreaterThan(0);
  });
});

function sinkOf(delivery: StreamDelivery): Sink {
  const frameOf = ({ event }: Encoded) => {
    const message = `<110>1 - - - - - [x@32473 id="${event.id}"] ${'x'.repeat(200)}`;
    return `${message.length} ${message}`;
  };
  return {
    window: streamDefaults.maxUnconfirmedBatches + 1,
    limits: { maxEvents: 500, maxBytes: 256 * 1024 },
    send: ({ records }, kill) => delivery.send(Buffer.from(records.map(frameOf).join('')), kill),
    sendStatus: async () => ({ kind: 'accepted' }),
    finish: (kill) => delivery.finish(kill),
    probe: async () => ({ kind: 'accepted' }),
    [Symbol.asyncDispose]: () => delivery.dispose(),
  };
}
