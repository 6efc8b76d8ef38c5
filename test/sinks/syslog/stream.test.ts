import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/lib/verdict.ts';
import type { Sent } from '../../../src/sinks/sink.ts';
import { Connection } from '../../../src/sinks/syslog/connection.ts';
import { openSyslog } from '../../../src/sinks/syslog/definition.ts';
import { retryFailure } from '../../../src/sinks/syslog/failures.ts';
import { openConnection } from '../../../src/sinks/syslog/open-connection.ts';
import { StreamDelivery, type StreamOptions } from '../../../src/sinks/syslog/stream.ts';
import { loadTcpInfo } from '../../../src/sinks/syslog/tcp-info.ts';
import { fullBacklog } from '../../support/full-backlog.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../../support/syslog.ts';
import { tcpServer } from '../../support/tcp-server.ts';

const never = new AbortController().signal;
const tcpInfo = loadTcpInfo();

function deliveryTo(port: number, options: Partial<StreamOptions> = {}) {
  const where = `tcp://127.0.0.1:${port}`;
  const to = { host: '127.0.0.1', port };
  return new StreamDelivery({
    where,
    timeoutMs: 2_000,
    stepMs: 10,
    closeWaitMs: 200,
    proofMs: 20,
    maxUnconfirmedBytes: 1_000,
    maxUnconfirmedBatches: 100,
    open: (signal) => openConnection({ to, where, timeoutMs: 2_000, tcpInfo }, signal),
    ...options,
  });
}

function sentBy(answer: Verdict | Sent): Promise<Verdict> {
  if (answer.kind !== 'sent') throw new Error(`answered ${JSON.stringify(answer)}`);
  return answer.confirmed;
}

/** Reads `bytes` every `everyMs`. */
function readSlowly(socket: Socket, bytes: number, everyMs: number): void {
  const timer = setInterval(() => socket.read(bytes) ?? socket.read(), everyMs);
  socket.on('readable', () => {}).on('close', () => clearInterval(timer));
}

describe('delivery over a stream', () => {
  it('accepts a batch once the connection has stayed open for ten steps', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port);
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    expect(await confirmed).toEqual({ kind: 'accepted' });
    expect(server.text()).toBe('one');
    expect(server.sockets[0]?.destroyed).toBe(false);
    await delivery.dispose();
  });

  it('hands every unconfirmed batch back after a reset, and continues on a new connection', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const first = sentBy(await delivery.send(Buffer.from('one'), never));
    const second = sentBy(await delivery.send(Buffer.from('two'), never));
    await server.until(() => server.text() === 'onetwo');
    server.sockets[0]?.resetAndDestroy();
    expect(await first).toMatchObject({ kind: 'retry', reason: 'network' });
    expect(await second).toMatchObject({ kind: 'retry', reason: 'network' });
    await delivery.send(Buffer.from('again'), never);
    await server.until(() => server.text(1) === 'again');
    await delivery.dispose();
  });

  it('hands a batch back if the collector closes without being asked, also after it sent a banner', async () => {
    await using server = await tcpServer((socket) => socket.write('220 welcome\r\n'));
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    await server.until(() => server.text() === 'one');
    server.sockets[0]?.end();
    expect(await confirmed).toMatchObject({ kind: 'retry', reason: 'network' });
  });

  it('confirms everything at once by a half-close on finish', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const first = sentBy(await delivery.send(Buffer.from('one'), never));
    const second = sentBy(await delivery.send(Buffer.from('two'), never));
    await delivery.finish(never);
    expect([await first, await second]).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
    expect(server.text()).toBe('onetwo');
    await delivery.dispose();
  });

  it('sends what arrives during finish over the next connection', async () => {
    await using server = await tcpServer((socket) => {
      socket.pause();
      setTimeout(() => socket.resume(), 50);
    });
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const first = sentBy(await delivery.send(Buffer.from('one'), never));
    const finishing = delivery.finish(never);
    const second = sentBy(await delivery.send(Buffer.from('two'), never));
    expect(await first).toEqual({ kind: 'accepted' });
    await finishing;
    await delivery.finish(never);
    expect(await second).toEqual({ kind: 'accepted' });
    expect([server.text(0), server.text(1)]).toEqual(['one', 'two']);
    await delivery.dispose();
  });

  it('hands back what was answered by a collector that accepts no connection afterwards', async () => {
    await using server = await tcpServer(
      (socket) =>
        socket.on('end', () => {
          server.server.close();
          socket.end();
        }),
      { allowHalfOpen: true },
    );
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    await delivery.finish(never);
    expect(server.text()).toBe('one');
    expect(await confirmed).toMatchObject({ kind: 'retry', reason: 'network' });
  });

  it('hands back what was answered if the next connection ends at once, goes elsewhere, or is refused', async () => {
    await using elsewhere = await tcpServer();
    for (const way of ['over', 'elsewhere', 'stop'] as const) {
      await using server = await tcpServer();
      let opened = 0;
      const open: StreamOptions['open'] = async (signal) => {
        const proves = ++opened === 2;
        if (proves && way === 'stop')
          return { code: '', verdict: { kind: 'stop', reason: 'auth', detail: 'not trusted' } };
        const { port } = proves && way === 'elsewhere' ? elsewhere : server;
        const to = { host: '127.0.0.1', port };
        const connection = await openConnection({ to, where: 'tcp://it', timeoutMs: 2_000, tcpInfo }, signal);
        if (proves && way === 'over' && connection instanceof Connection) connection.destroy();
        return connection;
      };
      const delivery = deliveryTo(server.port, { stepMs: 60_000, open });
      const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
      await delivery.finish(never);
      expect(await confirmed, way).toMatchObject({
        kind: 'retry',
        detail: expect.stringMatching(/was the collector stopped\?/),
      });
      await delivery.dispose();
    }
  });

  it('hands back, oldest first, what was sent over the connection that should have proven an answer and was lost', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000, proofMs: 60_000, maxUnconfirmedBatches: 1 });
    const order: string[] = [];
    const verdicts: Promise<unknown>[] = [];
    for (const text of ['one', 'two']) {
      const confirmed = sentBy(await delivery.send(Buffer.from(text), never));
      verdicts.push(confirmed.then(({ kind }) => order.push(`${text}: ${kind}`)));
    }
    await server.until(() => server.text(1) === 'two');
    expect(order).toEqual([]);
    server.sockets[1]?.resetAndDestroy();
    await Promise.all(verdicts);
    expect(order).toEqual(['one: retry', 'two: retry']);
    await delivery.dispose();
  });

  it.each([
    ['were reset', (socket: Socket) => socket.resetAndDestroy(), 0],
    ['were discarded by a collector that is stopping', (socket: Socket) => socket.end(), 2],
  ])('sends nothing newer if older batches %s while it made room', async (_, end, refused) => {
    await using server = await tcpServer(
      (socket, index) => socket.on('end', () => (index === 0 ? end(socket) : socket.end())),
      { allowHalfOpen: true },
    );
    const connection = { to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 2_000, tcpInfo };
    let opened = 0;
    const open: StreamOptions['open'] = async (signal) =>
      ++opened === refused ? retryFailure('network', 'refused') : openConnection(connection, signal);
    const delivery = deliveryTo(server.port, { stepMs: 50, maxUnconfirmedBatches: 2, open });
    const older = [
      sentBy(await delivery.send(Buffer.from('one'), never)),
      sentBy(await delivery.send(Buffer.from('two'), never)),
    ];
    expect(await delivery.send(Buffer.from('three'), never)).toMatchObject({ kind: 'retry' });
    for (const verdict of await Promise.all(older)) expect(verdict).toMatchObject({ kind: 'retry' });
    for (const text of ['one', 'two', 'three']) await delivery.send(Buffer.from(text), never);
    await delivery.finish(never);
    expect(server.received.map((_, index) => server.text(index)).join('|')).toMatch(/^onetwo\|onetwo\|?three\|?$/);
    await delivery.dispose();
  });

  it('sends nothing newer if older batches were handed back after the call', async () => {
    await using server = await tcpServer(() => {}, { allowHalfOpen: true });
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const older = sentBy(await delivery.send(Buffer.from('one'), never));
    await server.until(() => server.text() === 'one');
    // It waits for its turn behind the half-close, which the reset ends.
    server.sockets[0]?.on('end', () => server.sockets[0]?.resetAndDestroy());
    const finishing = delivery.finish(never);
    const newer = delivery.send(Buffer.from('two'), never);
    expect(await older).toMatchObject({ kind: 'retry' });
    await finishing;
    expect(await newer).toMatchObject({ kind: 'retry' });
    expect(await delivery.send(Buffer.from('one'), never)).toMatchObject({ kind: 'sent' });
    await delivery.dispose();
  });

  it('ends a half-closed connection once time has confirmed everything it carried', async () => {
    await using server = await tcpServer(
      (socket) => {
        socket.pause();
        setTimeout(() => socket.resume(), 700);
      },
      { allowHalfOpen: true },
    );
    const delivery = deliveryTo(server.port, { stepMs: 30, maxUnconfirmedBytes: 64 * 1024 ** 2, timeoutMs: 20_000 });
    // More than fits in the buffers on the way: it is acknowledged only when the collector reads again.
    const confirmed = sentBy(await delivery.send(Buffer.alloc(8 * 1024 ** 2), never));
    await delivery.finish(never);
    expect(await confirmed).toEqual({ kind: 'accepted' });
    for (const text of ['one', 'two']) expect((await delivery.send(Buffer.from(text), never)).kind).toBe('sent');
    await delivery.dispose();
  });

  it('half-closes soon if the collector keeps closing before time can confirm anything', async () => {
    await using server = await tcpServer((socket) => socket.setTimeout(100, () => socket.end()));
    const delivery = deliveryTo(server.port, { stepMs: 20 });
    const sends: string[] = [];
    for (const text of ['one ', 'two ', 'three ', 'four '])
      for (let kind = 'retry'; kind !== 'accepted'; ) {
        sends.push(text);
        ({ kind } = await sentBy(await delivery.send(Buffer.from(text), never)));
      }
    expect(server.received.map((_, index) => server.text(index)).join('')).toBe(sends.join(''));
    // As often as it takes to notice, and then once.
    expect(sends.join('')).toBe('one one one two three four ');
    await delivery.dispose();
  });

  it('leaves no connection behind that was being opened when it was disposed of', async () => {
    await using server = await tcpServer();
    const asked = Promise.withResolvers<void>();
    const made = Promise.withResolvers<void>();
    const connection = { to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 2_000, tcpInfo };
    const open: StreamOptions['open'] = async (signal) => {
      asked.resolve();
      await made.promise;
      return openConnection(connection, signal);
    };
    const delivery = deliveryTo(server.port, { open });
    const sending = delivery.send(Buffer.from('one'), never);
    await asked.promise;
    await delivery.dispose();
    made.resolve();
    expect(await sending).toMatchObject({ kind: 'retry', detail: expect.stringMatching(/we closed/) });
    expect(await delivery.send(Buffer.from('two'), never)).toMatchObject({ kind: 'retry' });
    await server.until(() => server.sockets[0]?.destroyed === true);
    expect([server.sockets.length, server.text()]).toEqual([1, '']);
  });

  it('hands back a batch that was being written when it was disposed of', async () => {
    const resume = Promise.withResolvers<void>();
    await using server = await tcpServer((socket) => {
      socket.pause();
      void resume.promise.then(() => socket.resume());
    });
    const delivery = deliveryTo(server.port, { stepMs: 60_000, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    const sending = delivery.send(Buffer.alloc(12 * 1024 ** 2), never);
    await server.until(() => server.sockets.length === 1);
    const disposed = delivery.dispose();
    resume.resolve();
    await disposed;
    const answer = await sending;
    expect(answer.kind === 'sent' ? await answer.confirmed : answer).toMatchObject({ kind: 'retry' });
  });

  it('causes no unhandled rejection if the caller no longer waits for a confirmation', async () => {
    await using server = await tcpServer();
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    const forced = new AbortController();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    await delivery.send(Buffer.from('one'), forced.signal);
    forced.abort(new Error('enough'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    await delivery.dispose();
  });

  it('sends the next batch over the connection that proved the last answer', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    for (const text of ['one', 'two', 'three']) {
      const confirmed = sentBy(await delivery.send(Buffer.from(text), never));
      await delivery.finish(never);
      expect(await confirmed).toEqual({ kind: 'accepted' });
    }
    expect(server.sockets.length).toBe(4);
    expect([0, 1, 2, 3].map(server.text)).toEqual(['one', 'two', 'three', '']);
    await delivery.dispose();
  });

  it('ends finish when the connection is lost, and hands everything back', async () => {
    await using server = await tcpServer(() => {}, { allowHalfOpen: true });
    const delivery = deliveryTo(server.port, { stepMs: 60_000, closeWaitMs: 60_000 });
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    const finishing = delivery.finish(never);
    await server.until(() => server.sockets[0]?.readableEnded === true);
    server.sockets[0]?.resetAndDestroy();
    await finishing;
    expect(await confirmed).toMatchObject({ kind: 'retry' });
    await delivery.finish(never);
  });

  it('half-closes when the unconfirmed bytes reach their bound, without waiting for time', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const confirmed: Promise<Verdict>[] = [];
    for (let round = 0; round < 10; round++)
      confirmed.push(sentBy(await delivery.send(Buffer.alloc(400, 48 + round), never)));
    await delivery.finish(never);
    expect(await Promise.all(confirmed)).toEqual(confirmed.map(() => ({ kind: 'accepted' })));
    expect(server.sockets.length).toBe(6);
    await delivery.dispose();
    expect(server.received.map((_, index) => server.text(index)).join('')).toBe(
      Array.from({ length: 10 }, (_, round) => String(round).repeat(400)).join(''),
    );
  });

  it('half-closes when the unconfirmed batches reach their bound', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000, maxUnconfirmedBatches: 3 });
    const confirmed: Promise<Verdict>[] = [];
    for (let round = 0; round < 7; round++) confirmed.push(sentBy(await delivery.send(Buffer.from(`${round}`), never)));
    expect(await Promise.all(confirmed.slice(0, 6))).toEqual(Array(6).fill({ kind: 'accepted' }));
    expect(server.sockets.length).toBe(3);
    await delivery.dispose();
  });

  it('lets time confirm if the collector leaves half-closes unanswered, and tries them less often', async () => {
    await using server = await tcpServer(() => {}, { allowHalfOpen: true });
    const delivery = deliveryTo(server.port, { closeWaitMs: 20 });
    const confirmed: Promise<Verdict>[] = [];
    for (let round = 0; round < 9; round++)
      confirmed.push(sentBy(await delivery.send(Buffer.alloc(800, 48 + round), never)));
    await delivery.finish(never);
    expect(await Promise.all(confirmed)).toEqual(confirmed.map(() => ({ kind: 'accepted' })));
    expect(server.sockets.length).toBeLessThan(6);
    await delivery.dispose();
  });

  it('ends a connection whose peer reads nothing for the timeout, and hands the batch back', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, {
      stepMs: 60_000,
      maxUnconfirmedBytes: 64 * 1024 ** 2,
      open: (signal) =>
        openConnection(
          { to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 200, tcpInfo },
          signal,
        ),
    });
    const answers: (Verdict | Sent)[] = [];
    do answers.push(await delivery.send(Buffer.alloc(1024 ** 2), never));
    while (answers.at(-1)?.kind === 'sent');
    expect(answers.at(-1)).toEqual({
      kind: 'retry',
      reason: 'timeout',
      detail: 'tcp://it: the collector read nothing for 200 ms',
    });
    for (const answer of answers.slice(0, -1)) expect(await sentBy(answer)).toMatchObject({ kind: 'retry' });
  });

  it('waits for a collector that reads slowly, as long as it reads', async () => {
    await using server = await tcpServer((socket) => readSlowly(socket, 64 * 1024, 10), { pauseOnConnect: true });
    const where = 'tcp://it';
    const to = { host: '127.0.0.1', port: server.port };
    const delivery = deliveryTo(server.port, {
      maxUnconfirmedBytes: 64 * 1024 ** 2,
      timeoutMs: 400,
      open: (signal) => openConnection({ to, where, timeoutMs: 400, tcpInfo }, signal),
    });
    const startMs = performance.now();
    const confirmed = sentBy(await delivery.send(Buffer.alloc(12 * 1024 ** 2), never));
    // Longer than the timeout, or it shows nothing.
    expect(performance.now() - startMs).toBeGreaterThan(400);
    expect(await confirmed).toEqual({ kind: 'accepted' });
    expect(server.sockets).toHaveLength(1);
    await delivery.dispose();
  });

  it.each([700, 300])(
    'delivers to a collector that resets after every %i messages, without repeating everything',
    async (limit) => {
      const counts: number[] = [];
      const ids = new Map<number, number>();
      await using server = await tcpServer((socket, index) => {
        let rest = '';
        counts[index] = 0;
        socket.on('data', (chunk: Buffer) => {
          const lines = (rest + chunk.toString()).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            if (socket.destroyed) return;
            const id = Number(/ id="(\d+)"/.exec(line)?.[1]);
            ids.set(id, (ids.get(id) ?? 0) + 1);
            counts[index] = (counts[index] ?? 0) + 1;
            if (counts[index] === limit) socket.resetAndDestroy();
          }
        });
      });
      await using sink = openSyslog(
        options({ address: `tcp://127.0.0.1:${server.port}`, framing: 'newline' }),
        sinkDeps(),
      );
      const records = Array.from({ length: 3_000 }, (_, index) => encoded(eventOf({ id: index + 1 })));
      await drive(sink, records);
      expect(ids.size).toBe(3_000);
      const received = [...ids.values()].reduce((sum, count) => sum + count, 0);
      expect(received).toBeLessThan(7_500);
    },
  );

  it('lets only time confirm if the kernel does not report what was acknowledged', async () => {
    await using server = await tcpServer();
    const to = { host: '127.0.0.1', port: server.port };
    const open = (signal: AbortSignal) => openConnection({ to, where: 'tcp://it', timeoutMs: 2_000 }, signal);
    const delivery = deliveryTo(server.port, { stepMs: 20, open });
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    await delivery.finish(never);
    expect(await confirmed).toEqual({ kind: 'accepted' });
    expect(server.sockets.map(({ readableEnded }) => readableEnded)).toEqual([false]);
    await delivery.dispose();
  });

  it('retries after the timeout if nothing answers the first packet', async () => {
    await using silent = await fullBacklog();
    await using sink = openSyslog(options({ address: `tcp://127.0.0.1:${silent.port}`, timeout: '200ms' }), sinkDeps());
    const verdicts = [await sink.probe(never), await sink.send({ records: [encoded(eventOf({ id: 1 }))] }, never)];
    for (const verdict of verdicts)
      expect(verdict).toMatchObject({
        kind: 'retry',
        reason: 'timeout',
        detail: expect.stringMatching(/no answer within/),
      });
  });

  it('accepts nothing that the TCP of the collector has not acknowledged', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { timeoutMs: 200, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    // Taken by the kernel at once: into the collector's buffers the first, into ours the rest.
    const first = sentBy(await delivery.send(Buffer.from('one'), never));
    const rest = sentBy(await delivery.send(Buffer.alloc(3 * 1024 ** 2), never));
    expect(await first).toEqual({ kind: 'accepted' });
    expect(await rest).toMatchObject({ kind: 'retry', reason: 'timeout' });
  });

  it('does not count as acknowledged what waits to be written', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { timeoutMs: 400, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    const taken = sentBy(await delivery.send(Buffer.alloc(3 * 1024 ** 2), never));
    // More than the first still owes: with it the count of bytes is beyond the first's end.
    const waiting = delivery.send(Buffer.alloc(32 * 1024 ** 2), never);
    expect(await taken).toMatchObject({ kind: 'retry', reason: 'timeout' });
    expect(await waiting).toMatchObject({ kind: 'retry', reason: 'timeout' });
  });

  it('throws the reason of the signal from a waiting send, and rejects unconfirmed batches with it', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { stepMs: 60_000, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    const forced = new AbortController();
    const reason = new Error('enough');
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), forced.signal));
    const waiting = delivery.send(Buffer.alloc(32 * 1024 ** 2), forced.signal);
    const outcomes = Promise.allSettled([confirmed, waiting]);
    await server.until(() => server.sockets.length === 1);
    forced.abort(reason);
    expect(await outcomes).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    await expect(delivery.send(Buffer.from('late'), forced.signal)).rejects.toBe(reason);
  });

  it('reports why a connection was refused', async () => {
    const server = await tcpServer();
    await server[Symbol.asyncDispose]();
    const answer = await deliveryTo(server.port).send(Buffer.from('one'), never);
    expect(answer).toMatchObject({ kind: 'retry', reason: 'network' });
    expect((answer as { detail: string }).detail).toContain('ECONNREFUSED');
  });
});
