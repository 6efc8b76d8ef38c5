import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { bytesTaken, tcpKernel } from '../../../src/sinks/syslog/tcp-queue.ts';
import { type TcpLookup, TcpTable } from '../../../src/sinks/syslog/tcp-table.ts';
import { certificates, hasOpenssl, pem } from '../../support/certificates.ts';

/** Connections to one server on loopback, and their far ends. */
async function connected(count: number) {
  const far: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => far.push(socket.on('error', () => {}).pause()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near: Socket[] = [];
  for (let made = 0; made < count; made++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    near.push(socket);
  }
  return {
    near,
    far,
    [Symbol.dispose]() {
      for (const socket of [...near, ...far]) socket.destroy();
      server.close();
    },
  };
}

const unasked = Promise.resolve(undefined);
const tables = { 'asked about a socket': () => new TcpTable(), 'read as a table': () => new TcpTable(unasked) };

describe.skipIf(process.platform !== 'linux')('the kernel (skipped elsewhere than on Linux)', () => {
  it.each(Object.entries(tables))(
    'tells, %s, of each of many connections what its peer has not acknowledged',
    async (_, open) => {
      using all = await connected(120);
      const table = open();
      for (const socket of all.near)
        expect(await table.lookup(socket)()).toEqual({ state: 'established', unacknowledgedBytes: 0 });
      const [last] = all.near.slice(-1);
      const look = table.lookup(last as Socket);
      // More than both buffers hold, and nobody reads.
      last?.write(Buffer.alloc(64 * 1024 ** 2));
      let owed = 0;
      while (owed === 0) {
        owed = (await look())?.unacknowledgedBytes ?? 0;
        await sleep(5);
      }
      expect(owed).toBeGreaterThan(1000);
    },
  );

  it('tells the same both ways', async () => {
    using all = await connected(2);
    const [quiet, busy] = all.near as [Socket, Socket];
    busy.write(Buffer.alloc(64 * 1024 ** 2));
    const looks = [busy, quiet].map((socket) => Object.values(tables).map((open) => open().lookup(socket)));
    const tell = (pair: TcpLookup[] = []) => Promise.all(pair.map((look) => look()));
    // Until what is under way has settled.
    const settled = async () => {
      const [first, second] = await tell(looks[0]);
      return first?.unacknowledgedBytes !== 0 && isDeepStrictEqual(first, second);
    };
    while (!(await settled())) await sleep(5);
    quiet.end();
    await once(quiet, 'finish');
    let pair = await tell(looks[1]);
    // Our FIN is owed until the peer has acknowledged it.
    while (pair.some((state) => state?.unacknowledgedBytes !== 0)) {
      await sleep(5);
      pair = await tell(looks[1]);
    }
    expect(pair).toEqual(Array(2).fill({ state: 'closing', unacknowledgedBytes: 0 }));
  });

  it.each(Object.entries(tables))('tells, %s, that a connection is over', async (_, open) => {
    using all = await connected(2);
    const [first, second] = all.near as [Socket, Socket];
    const table = open();
    expect(await table.lookup(first)()).toMatchObject({ state: 'established' });
    const look = table.lookup(second);
    second.destroy();
    await once(second, 'close');
    while ((await look())?.state === 'established') await sleep(5);
    expect((await look())?.state).toMatch(/closing|gone/);
  });

  it('answers for a socket, so that no table is read', async () => {
    using all = await connected(1);
    const [socket] = all.near as [Socket];
    const kernel = await tcpKernel();
    expect(kernel?.queue(socket)).toEqual({ state: 1, unacknowledgedBytes: 0 });
  });

  it('calls a connection gone that was reset, before Node has noticed', async () => {
    using all = await connected(1);
    const [[near], [far]] = [all.near, all.far] as [[Socket], [Socket]];
    near.write(Buffer.alloc(16 * 1024 ** 2));
    const look = new TcpTable().lookup(near);
    expect(await look()).toMatchObject({ state: 'established' });
    // The reset is sent at once, and Node reads the next time round.
    far.resetAndDestroy();
    const found = await look();
    expect([found, near.destroyed]).toEqual([{ state: 'gone', unacknowledgedBytes: 0 }, false]);
  });

  it('calls a connection gone by its table only once that has listed another: where it lists none it tells nothing', async () => {
    using all = await connected(1);
    const nobody = { localAddress: '127.0.0.1', localPort: 1, remoteAddress: '127.0.0.1', remotePort: 2 } as Socket;
    const table = new TcpTable(unasked);
    expect(await table.lookup(nobody)()).toBeUndefined();
    expect(await table.lookup(all.near[0] as Socket)()).toMatchObject({ state: 'established' });
    expect(await table.lookup(nobody)()).toEqual({ state: 'gone', unacknowledgedBytes: 0 });
  });

  it('tells nothing of a Unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'table-'));
    const server = createServer().listen(join(directory, 'socket'));
    await once(server, 'listening');
    const socket = connect(join(directory, 'socket'));
    await once(socket, 'connect');
    for (const open of Object.values(tables)) expect(await open().lookup(socket)()).toBeUndefined();
    socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });

  it.skipIf(!hasOpenssl)(
    'is asked about the socket below TLS, and Node what it took (skipped without openssl)',
    async () => {
      using authority = certificates();
      const { cert, key } = authority.certificate('localhost');
      const server = createTlsServer({ cert: pem(cert), key: pem(key) }, (socket) =>
        socket.on('error', () => {}).pause(),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const raw = connect((server.address() as AddressInfo).port, '127.0.0.1');
      await once(raw, 'connect');
      const secure = tlsConnect({ socket: raw, ca: pem(authority.ca), servername: 'localhost' });
      await once(secure, 'secureConnect');
      const kernel = await tcpKernel();
      const look = () => kernel?.queue(raw);
      expect(look()).toMatchObject({ state: 1 });
      secure.write(Buffer.alloc(64 * 1024 ** 2));
      while ((look()?.unacknowledgedBytes ?? 0) < 1000) await sleep(5);
      // Most of it waits to be encrypted, some to be taken.
      expect(bytesTaken(raw)).toBeGreaterThan(1000);
      expect(bytesTaken(raw)).toBeLessThan(64 * 1024 ** 2);
      expect(bytesTaken(raw)).toBeLessThanOrEqual(raw.bytesWritten);
      secure.destroy();
      raw.destroy();
      await once(raw, 'close');
      expect(look()).toBeUndefined();
      expect(bytesTaken(raw)).toBe(0);
      server.close();
    },
  );
});
