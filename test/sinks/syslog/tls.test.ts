import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/lib/verdict.ts';
import type { Sink } from '../../../src/sinks/sink.ts';
import { Connection } from '../../../src/sinks/syslog/connection.ts';
import { openSyslog } from '../../../src/sinks/syslog/definition.ts';
import { openConnection } from '../../../src/sinks/syslog/open-connection.ts';
import { loadTcpInfo } from '../../../src/sinks/syslog/tcp-info.ts';
import { Authority, certificatesMissing, type Leaf } from '../../support/authority.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../../support/syslog.ts';
import { tcpServer } from '../../support/tcp-server.ts';

const never = new AbortController().signal;
const tcpInfo = loadTcpInfo();
const skipped = certificatesMissing === undefined ? '' : ` (skipped: ${certificatesMissing})`;

describe.skipIf(certificatesMissing !== undefined)(`the syslog sink over TLS${skipped}`, () => {
  let authority: Authority;
  let good: Leaf;
  beforeAll(() => {
    authority = new Authority();
    good = authority.leaf();
  });
  afterAll(() => authority[Symbol.dispose]());

  /** The verdict of a batch, confirmed by a half-close. */
  async function deliver(sink: Sink): Promise<Verdict> {
    const answer = await sink.send({ records: [encoded(eventOf({ id: 1, action: 'user.login' }))] }, never);
    if (answer.kind !== 'sent') return answer;
    await sink.finish?.(never);
    return answer.confirmed;
  }

  async function collector(leaf: Leaf, more: TlsOptions = {}) {
    let received = '';
    const sockets = new Set<TLSSocket>();
    const server = createServer(
      { cert: readFileSync(leaf.certFile), key: readFileSync(leaf.keyFile), ...more },
      (socket) => {
        sockets.add(socket);
        socket
          .on('error', () => {})
          .on('data', (chunk: Buffer) => {
            received += chunk.toString();
          });
      },
    );
    server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return {
      port,
      received: () => received,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  const to = (port: number, tls: object = {}, host = '127.0.0.1') =>
    options({ address: `tls://${host}:${port}`, tls: { caFile: authority.caFile, ...tls }, timeout: '3s' });

  it('delivers with a certificate that its own authority signed, by name and by address', async () => {
    await using server = await collector(good);
    for (const host of ['localhost', '127.0.0.1']) {
      await using sink = openSyslog(to(server.port, {}, host), sinkDeps());
      expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
      expect(await deliver(sink)).toEqual({ kind: 'accepted' });
    }
    expect(server.received()).toMatch(/^(\d+ <110>1 .*){2}$/);
  });

  it.each([
    ['whose authority is unknown', {}, { caFile: undefined }, /not trusted.*tls\.caFile/],
    ['that names another host', { names: 'DNS:other.example.com' }, {}, /tls\.servername/],
    ['that has expired', { days: -3 }, {}, /expired.*new certificate/],
  ])('stops at a certificate %s, and names the remedy', async (_, leaf, tls, detail) => {
    await using server = await collector(authority.leaf(leaf));
    await using sink = openSyslog(to(server.port, tls), sinkDeps());
    for (const verdict of [await deliver(sink), await sink.probe(never)])
      expect(verdict).toMatchObject({ kind: 'stop', reason: 'auth', detail: expect.stringMatching(detail) });
    expect(server.received()).toBe('');
  });

  it('accepts a certificate for another host if tls.servername names it', async () => {
    await using server = await collector(authority.leaf({ names: 'DNS:other.example.com' }));
    await using sink = openSyslog(to(server.port, { servername: 'other.example.com' }), sinkDeps());
    expect(await deliver(sink)).toEqual({ kind: 'accepted' });
  });

  it('stops at a certificate other than the pinned one', async () => {
    await using server = await collector(good);
    const fingerprint256 = Array(32).fill('00').join(':');
    await using sink = openSyslog(to(server.port, { fingerprint256 }), sinkDeps());
    expect(await deliver(sink)).toMatchObject({ kind: 'stop', reason: 'auth' });
  });

  /** OpenSSL's own server: it sends the alerts that other collectors send too. */
  async function strictCollector(version: 'tls1_2' | 'tls1_3') {
    const files = ['-cert', good.certFile, '-key', good.keyFile, '-CAfile', authority.caFile];
    const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', `-${version}`, ...files, ...strict]);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    while (!said.includes('ACCEPT')) await once(child.stdout, 'data');
    return {
      port: Number(/ACCEPT .*:(\d+)/.exec(said)?.[1]),
      received: () => said.match(/<110>1/g)?.length,
      async [Symbol.asyncDispose]() {
        child.kill();
        await once(child, 'exit');
      },
    };
  }
  const strict = ['-Verify', '1', '-verify_return_error'];

  it.each(['tls1_2', 'tls1_3'] as const)(
    'presents a client certificate, and stops without a trusted one, with %s',
    async (version) => {
      using others = new Authority('Somebody else');
      await using server = await strictCollector(version);
      {
        await using trusted = openSyslog(to(server.port, authority.leaf({ commonName: 'forwarder' })), sinkDeps());
        expect(await trusted.probe(never)).toEqual({ kind: 'accepted' });
        expect(await deliver(trusted)).toEqual({ kind: 'accepted' });
      } // s_server serves one connection at a time
      await using without = openSyslog(to(server.port), sinkDeps());
      await using wrong = openSyslog(to(server.port, others.leaf()), sinkDeps());
      for (const sink of [without, wrong])
        for (const verdict of [await deliver(sink), await sink.probe(never)])
          expect(verdict).toMatchObject({
            kind: 'stop',
            reason: 'auth',
            detail: expect.stringMatching(/tls\.certFile/),
          });
      expect(server.received()).toBe(1);
    },
  );

  it('asks whether a client certificate is required if the collector closes without a reason', async () => {
    await using server = await collector(good);
    await using sink = openSyslog(to(server.port), sinkDeps());
    const answer = await sink.send({ records: [encoded(eventOf({ id: 1 }))] }, never);
    await server[Symbol.asyncDispose]();
    const verdict = answer.kind === 'sent' ? await answer.confirmed : answer;
    expect(verdict).toMatchObject({ kind: 'retry', detail: expect.stringMatching(/client certificate\?/) });
  });

  it('stops if the port does not speak TLS', async () => {
    await using server = await tcpServer((socket) => socket.write('220 hello, this is plain text\r\n'));
    await using sink = openSyslog(to(server.port), sinkDeps());
    expect(await sink.probe(never)).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringMatching(/tcp:\/\//),
    });
  });

  it('retries if the handshake does not end', async () => {
    await using server = await tcpServer();
    await using sink = openSyslog({ ...to(server.port), timeout: 200 }, sinkDeps());
    expect(await sink.probe(never)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
      detail: expect.stringMatching(/handshake/),
    });
  });

  it('stops at a collector below tls.minVersion', async () => {
    await using server = await collector(good, { maxVersion: 'TLSv1.2' });
    await using sink = openSyslog(to(server.port, { minVersion: 'TLSv1.3' }), sinkDeps());
    expect(await sink.probe(never)).toMatchObject({
      kind: 'stop',
      reason: 'auth',
      detail: expect.stringMatching(/minVersion/),
    });
  });

  it('warns once a day from 21 days before a certificate of either side ends', async () => {
    await using server = await collector(authority.leaf({ days: 20 }));
    const deps = sinkDeps();
    let now = Date.now();
    await using sink = openSyslog(to(server.port, authority.leaf({ days: 5 })), { ...deps, now: () => now });
    const records = [encoded(eventOf({ id: 1 }))];
    await drive(sink, records);
    await drive(sink, records);
    const warnings = () => deps.events.filter(({ event }) => event === 'sink.warning');
    expect(warnings()).toMatchObject([
      { topic: 'certificate', detail: expect.stringMatching(/collector's certificate ends at 20/) },
      { topic: 'certificate', detail: expect.stringMatching(/client certificate ends at 20/) },
    ]);
    now += 25 * 3_600_000;
    await drive(sink, records);
    expect(warnings()).toHaveLength(4);
  });

  it('does not warn about a certificate that is valid for longer', async () => {
    await using server = await collector(authority.leaf({ days: 25 }));
    const deps = sinkDeps();
    await using sink = openSyslog(to(server.port), deps);
    expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
    expect(deps.events.filter(({ event }) => event === 'sink.warning')).toEqual([]);
  });

  it('does not treat a close_notify that arrived before its half-close as an answer', async () => {
    const { certFile, keyFile } = good;
    const said = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), said };
    const worker = new Worker(new URL('../../support/close-notify.ts', import.meta.url), { workerData });
    const [port] = (await once(worker, 'message')) as [number];
    const current = () => ({ ca: readFileSync(authority.caFile), servername: 'localhost' });
    const tls = { hasClientCertificate: false, current };
    const connection = await openConnection(
      { to: { host: '127.0.0.1', port }, where: 'it', timeoutMs: 5_000, tls, tcpInfo },
      never,
    );
    if (!(connection instanceof Connection)) throw new Error(connection.verdict.detail);
    expect(await connection.write(Buffer.from('a record'))).toBeUndefined();
    const closed = connection.halfClose(5_000);
    // Busy until it has come, and until the half-close is due: at once, before the socket is read.
    await new Promise((resolve) => setImmediate(resolve));
    expect(Atomics.wait(said, 0, 0, 10_000)).not.toBe('timed-out');
    for (const startMs = performance.now(); performance.now() - startMs < 20; );
    await closed;
    expect(connection.failure).toMatchObject({ verdict: { kind: 'retry' } });
    await worker.terminate();
  });

  it.each([
    ['a reset, as of one that had not read all', 'resetAndDestroy', { verdict: { kind: 'retry', reason: 'network' } }],
    ['the end in good order', 'end', undefined],
  ] as const)('looks whether the close of TCP behind an answered half-close is %s', async (_, how, fault) => {
    await using at = await collector(good);
    const between = createTcpServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port: at.port, host: '127.0.0.1', allowHalfOpen: true });
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('data', (chunk) => far.write(chunk)).on('end', () => far.end());
      // TLS's close goes first, TCP's own a while later.
      far.on('data', (chunk) => near.write(chunk)).on('end', () => setTimeout(() => near[how](), 30));
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    const { port } = between.address() as AddressInfo;
    const current = () => ({ ca: readFileSync(authority.caFile), servername: 'localhost' });
    const tls = { hasClientCertificate: false, current };
    const connection = await openConnection(
      { to: { host: '127.0.0.1', port }, where: 'it', timeoutMs: 5_000, tls, tcpInfo },
      never,
    );
    if (!(connection instanceof Connection)) throw new Error(connection.verdict.detail);
    expect(await connection.write(Buffer.from('a record'))).toBeUndefined();
    await connection.halfClose(5_000);
    expect(connection.isOver).toBe(true);
    if (fault === undefined) expect(connection.failure).toBeUndefined();
    else expect(connection.failure).toMatchObject(fault);
    between.close();
  });
});
