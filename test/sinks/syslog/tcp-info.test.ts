import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { bytesTaken, loadTcpInfo, type TcpInfo } from '../../../src/sinks/syslog/tcp-info.ts';
import { certificates, hasOpenssl, pem } from '../../support/certificates.ts';

/** Connections to one server on loopback, and their far ends. */
async function connected(count: number) {
  const far: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => far.push(socket.on('error', () => {}).pause()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near: Socket[] = [];
  for (let opened = 0; opened < count; opened++) {
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

async function kernel(): Promise<TcpInfo> {
  const info = await loadTcpInfo();
  if (info === undefined) throw new Error('this Node has no node:ffi');
  return info;
}

describe.skipIf(process.platform !== 'linux')('the kernel (skipped elsewhere than on Linux)', () => {
  it('reports for each connection what its peer has not acknowledged', async () => {
    using all = await connected(120);
    const tcpInfo = await kernel();
    for (const socket of all.near)
      expect(tcpInfo.look(socket)).toEqual({ state: 'established', unacknowledgedBytes: 0 });
    const [last] = all.near.slice(-1) as [Socket];
    // More than both buffers hold, and nothing reads.
    last.write(Buffer.alloc(64 * 1024 ** 2));
    while ((tcpInfo.look(last)?.unacknowledgedBytes ?? 0) < 1_000) await sleep(5);
  });

  it('reports that our side of a connection is closed once the FIN is acknowledged', async () => {
    using all = await connected(1);
    const [socket] = all.near as [Socket];
    const tcpInfo = await kernel();
    socket.end();
    await once(socket, 'finish');
    while (tcpInfo.look(socket)?.unacknowledgedBytes !== 0) await sleep(5);
    expect(tcpInfo.look(socket)).toEqual({ state: 'closing', unacknowledgedBytes: 0 });
    socket.destroy();
    await once(socket, 'close');
    expect(tcpInfo.look(socket)).toEqual({ state: 'gone', unacknowledgedBytes: 0 });
  });

  it('reports a connection as gone that was reset, before Node has noticed', async () => {
    using all = await connected(1);
    const [[near], [far]] = [all.near, all.far] as [[Socket], [Socket]];
    near.write(Buffer.alloc(16 * 1024 ** 2));
    const tcpInfo = await kernel();
    expect(tcpInfo.look(near)).toMatchObject({ state: 'established' });
    // The reset is sent at once, and Node reads it in its next turn.
    far.resetAndDestroy();
    expect([tcpInfo.look(near), near.destroyed]).toEqual([{ state: 'gone', unacknowledgedBytes: 0 }, false]);
  });

  it('reports nothing about a Unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tcp-info-'));
    const server = createServer().listen(join(directory, 'socket'));
    await once(server, 'listening');
    const socket = connect(join(directory, 'socket'));
    await once(socket, 'connect');
    expect((await kernel()).look(socket)).toBeUndefined();
    socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });

  it.skipIf(!hasOpenssl)(
    'is asked about the socket below TLS, and Node how much it has taken (skipped without openssl)',
    async () => {
      using authority = certificates();
      const { cert, key } = authority.certificate('localhost');
      const far: Socket[] = [];
      const server = createTlsServer({ cert: pem(cert), key: pem(key) }, (socket) =>
        far.push(socket.on('error', () => {}).pause()),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const raw = connect((server.address() as AddressInfo).port, '127.0.0.1');
      await once(raw, 'connect');
      const secure = tlsConnect({ socket: raw, ca: pem(authority.ca), servername: 'localhost' });
      await once(secure, 'secureConnect');
      const tcpInfo = await kernel();
      expect(tcpInfo.look(raw)).toMatchObject({ state: 'established' });
      secure.write(Buffer.alloc(64 * 1024 ** 2));
      while ((tcpInfo.look(raw)?.unacknowledgedBytes ?? 0) < 1_000) await sleep(5);
      // Most of it waits to be encrypted, some to be taken.
      expect(bytesTaken(raw)).toBeGreaterThan(1_000);
      expect(bytesTaken(raw)).toBeLessThan(64 * 1024 ** 2);
      expect(bytesTaken(raw)).toBeLessThanOrEqual(raw.bytesWritten);
      secure.destroy();
      raw.destroy();
      await once(raw, 'close');
      expect(tcpInfo.look(raw)).toMatchObject({ state: 'gone' });
      expect(bytesTaken(raw)).toBe(0);
      for (const socket of far) socket.destroy();
      server.close();
    },
  );
});
