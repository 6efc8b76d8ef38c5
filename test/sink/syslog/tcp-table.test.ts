import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { TcpTable } from '../../../src/sink/syslog/tcp-table.ts';

/** Connections to one server on loopback, and their far ends. */
async function connected(count: number) {
  const far: Socket[] = [];
  const server = createServer((socket) => far.push(socket.on('error', () => {}).pause()));
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
    [Symbol.dispose]() {
      for (const socket of [...near, ...far]) socket.destroy();
      server.close();
    },
  };
}

describe.skipIf(process.platform !== 'linux')(
  'the kernel’s table of connections (skipped elsewhere than on Linux)',
  () => {
    it('tells of each of many connections what its peer has not acknowledged', async () => {
      using all = await connected(120);
      const table = new TcpTable();
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
    });

    it('calls a connection gone only once it has listed another: where it lists none it tells nothing', async () => {
      using all = await connected(2);
      const [first, second] = all.near as [Socket, Socket];
      const nobody = {
        localAddress: '127.0.0.1',
        localPort: 1,
        remoteAddress: '127.0.0.1',
        remotePort: 2,
      } as Socket;
      const table = new TcpTable();
      expect(await table.lookup(nobody)()).toBeUndefined();
      expect(await table.lookup(first)()).toMatchObject({ state: 'established' });
      expect(await table.lookup(nobody)()).toEqual({ state: 'gone', unacknowledgedBytes: 0 });
      const look = table.lookup(second);
      second.destroy();
      await once(second, 'close');
      while ((await look())?.state === 'established') await sleep(5);
      expect((await look())?.state).toMatch(/closing|gone/);
    });
  },
);
