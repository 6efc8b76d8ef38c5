import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unixDatagramSocket } from '../../../src/lib/unix-datagram.ts';
import { openSyslog } from '../../../src/sinks/syslog/definition.ts';
import { UdpDelivery } from '../../../src/sinks/syslog/udp.ts';
import { parse5424, readOctetCounted } from '../../support/rfc5424.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../../support/syslog.ts';
import { tcpServer } from '../../support/tcp-server.ts';
import { unixReceiver } from '../../support/unix-receiver.ts';

const never = new AbortController().signal;
const records = (count: number) =>
  Array.from({ length: count }, (_, index) => encoded(eventOf({ id: index + 1, action: 'user.login' })));
const ids = (messages: readonly string[]) => messages.map((message) => Number(parse5424(message).sd['id']));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('the syslog sink over UDP', () => {
  async function receiver(address: '127.0.0.1' | '::1' = '127.0.0.1') {
    const socket: Socket = createSocket(address === '::1' ? 'udp6' : 'udp4').bind(0, address);
    const messages: string[] = [];
    socket.on('message', (message) => messages.push(message.toString()));
    await once(socket, 'listening');
    return {
      messages,
      port: socket.address().port,
      async until(count: number) {
        while (messages.length < count) await once(socket, 'message');
      },
      close: () => new Promise<void>((resolve) => socket.close(resolve)),
    };
  }

  it('sends one message per datagram, of at most 1,180 bytes', async () => {
    const server = await receiver();
    await using sink = openSyslog(options({ address: `udp://127.0.0.1:${server.port}` }), sinkDeps());
    const long = encoded(eventOf({ id: 4, meta: { note: 'é'.repeat(2_000) } }));
    expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
    expect(await sink.send({ records: [...records(3), long] }, never)).toEqual({ kind: 'accepted' });
    await server.until(4);
    expect(ids(server.messages)).toEqual([1, 2, 3, 4]);
    expect(Buffer.byteLength(server.messages[3] ?? '')).toBeLessThanOrEqual(1_180);
    await server.close();
  });

  it('delivers to an IPv6 address', async () => {
    const server = await receiver('::1');
    await using sink = openSyslog(options({ address: `udp://[::1]:${server.port}` }), sinkDeps());
    await sink.send({ records: records(1) }, never);
    await server.until(1);
    await server.close();
  });

  it('hands a batch back if the host reports that the port is closed, and delivers once it is open', async () => {
    const server = await receiver();
    await server.close();
    const address = `udp://127.0.0.1:${server.port}`;
    await using sink = openSyslog(options({ address }), sinkDeps());
    for (const count of [1, 3])
      expect(await sink.send({ records: records(count) }, never)).toMatchObject({
        kind: 'retry',
        reason: 'network',
        detail: expect.stringContaining('ECONNREFUSED'),
      });
    const socket = createSocket('udp4').bind(server.port, '127.0.0.1');
    const arrived = once(socket, 'message');
    expect(await sink.send({ records: records(1) }, never)).toEqual({ kind: 'accepted' });
    await arrived;
    socket.close();
  });

  const delivery = (port: number, addresses: readonly string[], now = Date.now) =>
    new UdpDelivery({
      host: 'collector.invalid',
      port,
      where: 'udp://collector.invalid',
      timeoutMs: 5_000,
      now,
      lookup: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    });
  const texts = (...all: string[]) => all.map((text) => Buffer.from(text));

  it('uses the next address of the name if the host of the first reports that the port is closed', async () => {
    const server = await receiver();
    let now = Date.now();
    const udp = delivery(server.port, ['::1', '127.0.0.1'], () => now);
    expect(await udp.send(texts('one', 'two'), never)).toEqual({ kind: 'accepted' });
    expect(await udp.send(texts('three'), never)).toEqual({ kind: 'accepted' });
    // The name is resolved again; the address that works stays in use.
    now += 120_000;
    expect(await udp.send(texts('four'), never)).toEqual({ kind: 'accepted' });
    await server.until(4);
    expect(server.messages).toEqual(['one', 'two', 'three', 'four']);
    udp.dispose();
    await server.close();
  });

  it('names every address if all ports are closed, and is back at the first once that is open', async () => {
    const server = await receiver('::1');
    const { port } = server;
    await server.close();
    const udp = delivery(port, ['::1', '127.0.0.1']);
    const verdict = await udp.send(texts('one'), never);
    expect(verdict).toMatchObject({ kind: 'retry', reason: 'network' });
    expect((verdict as { detail: string }).detail.match(/ECONNREFUSED/g)).toHaveLength(2);
    const socket = createSocket('udp6').bind(port, '::1');
    const arrived = once(socket, 'message');
    expect(await udp.send(texts('two'), never)).toEqual({ kind: 'accepted' });
    await arrived;
    udp.dispose();
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  });

  it('ends at once when aborted while the name is being resolved', async () => {
    const lookup = () => new Promise<never>(() => {});
    const udp = new UdpDelivery({ host: 'x', port: 1, where: 'udp://x', timeoutMs: 60_000, now: Date.now, lookup });
    const forced = new AbortController();
    const outcomes = Promise.allSettled([udp.send(texts('one'), forced.signal), udp.probe(forced.signal)]);
    const reason = new Error('enough');
    forced.abort(reason);
    expect(await outcomes).toEqual(Array(2).fill({ status: 'rejected', reason }));
  });

  it('rejects a message that no datagram can hold, and names it', async () => {
    const server = await receiver();
    const udp = delivery(server.port, ['127.0.0.1']);
    expect(await udp.send(texts('one', 'x'.repeat(70_000), 'two'), never)).toMatchObject({
      kind: 'reject',
      reason: 'too_large',
      failedIndex: 1,
      acceptedPrefix: 1,
    });
    udp.dispose();
    await server.close();
  });

  it('retries if the name is unknown', async () => {
    await using sink = openSyslog(options({ address: 'udp://collector.invalid' }), sinkDeps());
    expect(await sink.send({ records: records(1) }, never)).toMatchObject({ kind: 'retry', reason: 'network' });
    expect(await sink.probe(never)).toMatchObject({ kind: 'retry', reason: 'network' });
  });
});

describe('the syslog sink on a local socket', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syslog-'));
    path = join(directory, 'socket');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const sinkTo = (given: Record<string, unknown> = {}) =>
    openSyslog(options({ address: `unix://${path}`, ...given }), sinkDeps());

  it('writes lines to a stream socket, and confirms them by a half-close', async () => {
    await using server = await tcpServer(() => {}, { path });
    await using sink = sinkTo();
    expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
    expect(await drive(sink, records(700))).toMatchObject({ retries: [], setAside: [] });
    const lines = server.received.flatMap((_, index) => server.text(index).split('\n').slice(0, -1));
    expect(ids(lines)).toEqual(upTo(700));
  });

  it('honours framing on a stream socket', async () => {
    await using server = await tcpServer(() => {}, { path });
    await using sink = sinkTo({ framing: 'octet-counting' });
    await drive(sink, records(2));
    expect(ids(readOctetCounted(Buffer.from(server.text())))).toEqual([1, 2]);
  });

  it('retries if the socket does not exist yet', async () => {
    await using sink = sinkTo();
    for (const verdict of [await sink.send({ records: records(1) }, never), await sink.probe(never)])
      expect(verdict).toMatchObject({ kind: 'retry', detail: expect.stringContaining('ENOENT') });
  });

  describe.skipIf(process.platform !== 'linux')('of datagrams (skipped elsewhere than on Linux)', () => {
    const whole = (count: number) => (messages: readonly string[]) => messages.length >= count;

    it('is detected, and waits for room in the queue without a loss', async () => {
      using receiver = unixReceiver(path);
      await using sink = sinkTo();
      expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
      const arrived = receiver.until(whole(500));
      expect(await drive(sink, records(500))).toMatchObject({ retries: [], setAside: [] });
      expect(ids(await arrived)).toEqual(upTo(500));
    });

    it('reports how many messages were accepted before the queue stayed full', async () => {
      using receiver = unixReceiver(path);
      await using sink = sinkTo({ timeout: '100ms' });
      const verdict = await sink.send({ records: records(400) }, never);
      expect(verdict).toMatchObject({ kind: 'retry', reason: 'timeout', acceptedPrefix: expect.any(Number) });
      const { acceptedPrefix: taken = 0 } = verdict as { acceptedPrefix?: number };
      expect(taken).toBeGreaterThan(0);
      const arrived = receiver.until(whole(400));
      await drive(sink, records(400).slice(taken));
      expect(ids(await arrived)).toEqual(upTo(400));
    });

    it('is detected again when another daemon creates the other kind of socket', async () => {
      const receiver = unixReceiver(path);
      await using sink = sinkTo();
      await drive(sink, records(1));
      expect(ids(receiver.take())).toEqual([1]);
      receiver[Symbol.dispose]();
      rmSync(path);
      expect(await sink.send({ records: records(1) }, never)).toMatchObject({ kind: 'retry' });
      await using server = await tcpServer(() => {}, { path });
      await drive(sink, records(2));
      expect(ids(server.text().split('\n').slice(0, -1))).toEqual([1, 2]);
    });

    it('rejects a message that is larger than the socket accepts', async () => {
      using _receiver = unixReceiver(path);
      await using sink = sinkTo({ maxMessageBytes: '1MiB' });
      const huge = encoded(eventOf({ id: 1, meta: { note: 'x'.repeat(500_000) } }));
      const verdict = await sink.send({ records: [huge] }, never);
      expect(verdict).toMatchObject({ kind: 'reject', reason: 'too_large', failedIndex: 0 });
    });

    it('reports a stream socket, a missing one and a path that is too long by their error names', async () => {
      using socket = await unixDatagramSocket();
      await using _server = await tcpServer(() => {}, { path });
      expect(socket?.send(Buffer.from('x'), path)).toBe('EPROTOTYPE');
      expect(socket?.send(Buffer.from('x'), join(directory, 'none'))).toBe('ENOENT');
      expect(socket?.send(Buffer.from('x'), `/${'x'.repeat(200)}`)).toBe('ENAMETOOLONG');
      socket?.[Symbol.dispose]();
      expect(socket?.send(Buffer.from('x'), path)).toBe('EBADF');
    });
  });
});
