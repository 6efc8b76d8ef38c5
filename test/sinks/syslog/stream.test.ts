import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/lib/verdict.ts';
import type { Sent } from '../../../src/sinks/sink.ts';
import { Connection } from '../../../src/sinks/syslog/connection.ts';
import { retryFault } from '../../../src/sinks/syslog/failures.ts';
import { openConnection } from '../../../src/sinks/syslog/open-connection.ts';
import { StreamDelivery } from '../../../src/sinks/syslog/stream.ts';
import type { StreamRules } from '../../../src/sinks/syslog/stream-rules.ts';
import { tcpServer } from '../../support/tcp-server.ts';

const never = new AbortController().signal;

function deliveryTo(port: number, rules: Partial<StreamRules> = {}) {
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
    open: (kill) => openConnection({ to, where, timeoutMs: 2_000 }, kill),
    ...rules,
  });
}

function sentBy(answer: Verdict | Sent): Promise<Verdict> {
  if (answer.kind !== 'sent') throw new Error(`answered ${JSON.stringify(answer)}`);
  return answer.confirmed;
}

describe('delivery over a stream', () => {
  it('accepts what was written once the connection has stayed open for ten steps', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port);
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    expect(await confirmed).toEqual({ kind: 'accepted' });
    expect(server.text()).toBe('one');
    expect(server.sockets[0]?.destroyed).toBe(false);
    await delivery.dispose();
  });

  it('hands every unconfirmed batch back when the collector resets, and goes on with a new connection', async () => {
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

  it('hands a batch back when the collector closes in good order but unasked, also after it sent a banner', async () => {
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

  it('keeps a send that comes during finish for the next connection', async () => {
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

  it('hands back what a collector answered that then takes no connection: it was being stopped', async () => {
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

  it('hands back what was answered where the next connection is over at once, goes elsewhere, or is refused for good', async () => {
    await using elsewhere = await tcpServer();
    for (const way of ['over', 'elsewhere', 'stop'] as const) {
      await using server = await tcpServer();
      let opened = 0;
      const open: StreamRules['open'] = async (kill) => {
        const proves = ++opened === 2;
        if (proves && way === 'stop')
          return { code: '', verdict: { kind: 'stop', reason: 'auth', detail: 'not trusted' } };
        const { port } = proves && way === 'elsewhere' ? elsewhere : server;
        const wire = await openConnection(
          { to: { host: '127.0.0.1', port }, where: 'tcp://it', timeoutMs: 2_000 },
          kill,
        );
        if (proves && way === 'over' && wire instanceof Connection) wire.destroy();
        return wire;
      };
      const delivery = deliveryTo(server.port, { stepMs: 60_000, open });
      const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
      await delivery.finish(never);
      expect(await confirmed, way).toMatchObject({ kind: 'retry', detail: expect.stringMatching(/was it stopped\?/) });
      await delivery.dispose();
    }
  });

  it('hands back, oldest first, what it sent meanwhile where the connection that was to prove an answer does not last', async () => {
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
    ['were thrown away by a collector that is stopped', (socket: Socket) => socket.end(), 2],
  ])('sends nothing newer where older ones %s while it made room', async (_, end, refused) => {
    await using server = await tcpServer(
      (socket, index) => socket.on('end', () => (index === 0 ? end(socket) : socket.end())),
      { allowHalfOpen: true },
    );
    const wire = { to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 2_000 };
    let opened = 0;
    const open: StreamRules['open'] = async (kill) =>
      ++opened === refused ? retryFault('network', 'refused') : openConnection(wire, kill);
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

  it('sends nothing newer where older ones came back since it was asked to', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    const { returns } = delivery;
    const older = sentBy(await delivery.send(Buffer.from('one'), never));
    await server.until(() => server.text() === 'one');
    server.sockets[0]?.resetAndDestroy();
    expect(await older).toMatchObject({ kind: 'retry' });
    expect(await delivery.send(Buffer.from('two'), never, returns)).toMatchObject({ kind: 'retry' });
    expect(await delivery.send(Buffer.from('one'), never)).toMatchObject({ kind: 'sent' });
    await delivery.dispose();
  });

  it('gives a half-closed connection up once time has confirmed all it carried', async () => {
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

  it('asks a collector to close that otherwise does so before time can confirm anything', async () => {
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

  it('leaves no connection behind that was still being made when it was disposed of', async () => {
    await using server = await tcpServer();
    const asked = Promise.withResolvers<void>();
    const made = Promise.withResolvers<void>();
    const wire = { to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 2_000 };
    const open: StreamRules['open'] = async (kill) => {
      asked.resolve();
      await made.promise;
      return openConnection(wire, kill);
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

  it('hands back a batch whose writing ends while it is disposed of', async () => {
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

  it('tells nobody of a failure who no longer waits for a confirmation', async () => {
    await using server = await tcpServer();
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    const kill = new AbortController();
    const delivery = deliveryTo(server.port, { stepMs: 60_000 });
    await delivery.send(Buffer.from('one'), kill.signal);
    kill.abort(new Error('enough'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    await delivery.dispose();
  });

  it('sends what comes next over the connection that proved the last answer', async () => {
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

  it('finishes as soon as the connection is lost, and hands everything back', async () => {
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

  it('rotates the connection where the unconfirmed bytes reach their bound, without waiting for the steps', async () => {
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

  it('rotates the connection where the unconfirmed batches reach theirs', async () => {
    await using server = await tcpServer();
    const delivery = deliveryTo(server.port, { stepMs: 60_000, maxUnconfirmedBatches: 3 });
    const confirmed: Promise<Verdict>[] = [];
    for (let round = 0; round < 7; round++) confirmed.push(sentBy(await delivery.send(Buffer.from(`${round}`), never)));
    expect(await Promise.all(confirmed.slice(0, 6))).toEqual(Array(6).fill({ kind: 'accepted' }));
    expect(server.sockets.length).toBe(3);
    await delivery.dispose();
  });

  it('falls back to the steps with a collector that leaves a half-close unanswered, in the end without trying', async () => {
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

  it('gives up a connection that takes nothing, and hands the batch back', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, {
      stepMs: 60_000,
      maxUnconfirmedBytes: 64 * 1024 ** 2,
      open: (kill) =>
        openConnection({ to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 200 }, kill),
    });
    const answers: (Verdict | Sent)[] = [];
    do answers.push(await delivery.send(Buffer.alloc(1024 ** 2), never));
    while (answers.at(-1)?.kind === 'sent');
    expect(answers.at(-1)).toEqual({ kind: 'retry', reason: 'timeout', detail: 'tcp://it: took nothing for 200 ms' });
    for (const answer of answers.slice(0, -1)) expect(await sentBy(answer)).toMatchObject({ kind: 'retry' });
  });

  it('does not confirm what the collector’s TCP has not acknowledged', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { timeoutMs: 200, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    // Taken by the kernel at once: into the collector's buffers the first, into ours the rest.
    const first = sentBy(await delivery.send(Buffer.from('one'), never));
    const rest = sentBy(await delivery.send(Buffer.alloc(3 * 1024 ** 2), never));
    expect(await first).toEqual({ kind: 'accepted' });
    expect(await rest).toMatchObject({ kind: 'retry', reason: 'timeout' });
  });

  it('takes nothing for acknowledged that waits to be written', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { timeoutMs: 400, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    const taken = sentBy(await delivery.send(Buffer.alloc(3 * 1024 ** 2), never));
    // More than the first still owes: with it the count of bytes is beyond the first's end.
    const waiting = delivery.send(Buffer.alloc(32 * 1024 ** 2), never);
    expect(await taken).toMatchObject({ kind: 'retry', reason: 'timeout' });
    expect(await waiting).toMatchObject({ kind: 'retry', reason: 'timeout' });
  });

  it('throws the reason of kill from a send that waits, and rejects what is unconfirmed with it', async () => {
    await using server = await tcpServer(() => {}, { pauseOnConnect: true });
    const delivery = deliveryTo(server.port, { stepMs: 60_000, maxUnconfirmedBytes: 64 * 1024 ** 2 });
    const kill = new AbortController();
    const reason = new Error('enough');
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), kill.signal));
    const waiting = delivery.send(Buffer.alloc(32 * 1024 ** 2), kill.signal);
    const outcomes = Promise.allSettled([confirmed, waiting]);
    await server.until(() => server.sockets.length === 1);
    kill.abort(reason);
    expect(await outcomes).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    await expect(delivery.send(Buffer.from('late'), kill.signal)).rejects.toBe(reason);
  });

  it('says what refuses a connection', async () => {
    const server = await tcpServer();
    await server[Symbol.asyncDispose]();
    const answer = await deliveryTo(server.port).send(Buffer.from('one'), never);
    expect(answer).toMatchObject({ kind: 'retry', reason: 'network' });
    expect((answer as { detail: string }).detail).toContain('ECONNREFUSED');
  });
});
