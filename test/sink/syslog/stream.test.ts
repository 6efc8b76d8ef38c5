import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/core/verdict.ts';
import type { Sent } from '../../../src/sink/sink.ts';
import { openWatched, openWire } from '../../../src/sink/syslog/open-wire.ts';
import { StreamDelivery, type StreamRules } from '../../../src/sink/syslog/stream.ts';
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
    maxUnconfirmedBytes: 1_000,
    maxUnconfirmedBatches: 100,
    open: (kill) => openWire({ to, where, timeoutMs: 2_000 }, kill),
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
    const to = { host: '127.0.0.1', port: server.port };
    const wire = { to, where: 'tcp://it', timeoutMs: 2_000 };
    // What listens may still take a connection while it is being closed.
    const open: StreamRules['open'] = (kill, { proves }) => openWatched(wire, proves ? 50 : 0, kill);
    const delivery = deliveryTo(server.port, { stepMs: 60_000, open });
    const confirmed = sentBy(await delivery.send(Buffer.from('one'), never));
    await delivery.finish(never);
    expect(server.text()).toBe('one');
    expect(await confirmed).toMatchObject({ kind: 'retry', reason: 'network' });
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
        openWire({ to: { host: '127.0.0.1', port: server.port }, where: 'tcp://it', timeoutMs: 200 }, kill),
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
