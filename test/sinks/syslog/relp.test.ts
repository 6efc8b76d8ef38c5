import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sink } from '../../../src/sinks/sink.ts';
import { openSyslog } from '../../../src/sinks/syslog/definition.ts';
import { type RelpFrame, RelpParser, relpFrame } from '../../../src/sinks/syslog/relp-frames.ts';
import { relpServer } from '../../support/relp-server.ts';
import { drive, encoded, eventOf, options, sinkDeps } from '../../support/syslog.ts';
import { tcpServer } from '../../support/tcp-server.ts';

const never = new AbortController().signal;
const records = (count: number) => Array.from({ length: count }, (_, index) => encoded(eventOf({ id: index + 1 })));
const sinkTo = (port: number, timeout = '5s'): Sink =>
  openSyslog(options({ address: `relp://127.0.0.1:${port}`, timeout }), sinkDeps());
const idOf = (message: string) => Number(/\bid="(\d+)"/.exec(message)?.[1]);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('the RELP parser', () => {
  it('finds every frame, however the stream is chunked', () => {
    const frame = fc.record({
      transaction: fc.integer({ min: 0, max: 999_999_999 }),
      command: fc.stringMatching(/^[a-z]{1,32}$/),
      data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 50 })), (frames: RelpFrame[], cuts) => {
        const stream = Buffer.concat(frames.map((one) => relpFrame(one.transaction, one.command, one.data)));
        const parser = new RelpParser();
        const found: RelpFrame[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const length = cuts[turn % Math.max(1, cuts.length)] ?? 7;
          for (const one of parser.push(stream.subarray(at, at + length)) ?? []) found.push(one);
          at += length;
        }
        expect(found.map(({ data, ...rest }) => ({ ...rest, data: data.toString('hex') }))).toEqual(
          frames.map(({ data, ...rest }) => ({ ...rest, data: data.toString('hex') })),
        );
      }),
    );
  });

  it('accepts a response without data, with and without the space before it', () => {
    expect(new RelpParser().push(Buffer.from('5 rsp 0\n6 rsp 0 \n'))).toMatchObject([
      { transaction: 5 },
      { transaction: 6 },
    ]);
  });

  it.each(['HTTP/1.1 400 Bad Request\r\n', '1 rsp 6 200 OKx', '1 rsp 999999999 x', '1234567890 rsp', '220 ready\r\n'])(
    'detects that %j is not RELP',
    (text) => expect(new RelpParser().push(Buffer.from(text))).toBeUndefined(),
  );
});

describe('the syslog sink over RELP', () => {
  it('opens with offers of version 0, numbers its frames, and sends close at the end', async () => {
    await using server = await relpServer();
    const sink = sinkTo(server.port);
    expect(await sink.send({ records: records(3) }, never)).toEqual({ kind: 'accepted' });
    await sink[Symbol.asyncDispose]();
    await sink[Symbol.asyncDispose]();
    expect(server.frames.map(({ transaction, command }) => `${transaction} ${command}`)).toEqual([
      '1 open',
      '2 syslog',
      '3 syslog',
      '4 syslog',
      '5 close',
    ]);
    expect(server.frames[0]?.data).toMatch(
      /^relp_version=0\nrelp_software=qasphere-siem-forwarder,.*\ncommands=syslog$/,
    );
  });

  it('keeps at most 128 frames unanswered', async () => {
    const unanswered: (() => void)[] = [];
    let most = 0;
    await using server = await relpServer((_, { answer }) => {
      unanswered.push(answer);
      most = Math.max(most, unanswered.length);
      const all = server.messages().length === 500;
      if (all || unanswered.length === 128)
        setImmediate(() => {
          for (const answerOne of unanswered.splice(0, all ? 128 : 1)) answerOne();
        });
    });
    await using sink = sinkTo(server.port);
    expect(await sink.send({ records: records(500) }, never)).toEqual({ kind: 'accepted' });
    expect(most).toBe(128);
    expect(server.messages().map(idOf)).toEqual(upTo(500));
  });

  it('reports what was acknowledged before the connection broke, and does not send it again', async () => {
    await using server = await relpServer((_, { count, connection, answer, socket }) => {
      if (connection === 0 && count > 40) socket.destroy();
      else answer();
    });
    await using sink = sinkTo(server.port);
    expect(await sink.send({ records: records(100) }, never)).toMatchObject({
      kind: 'retry',
      reason: 'network',
      acceptedPrefix: 40,
    });
    expect(await sink.send({ records: records(100).slice(40) }, never)).toEqual({ kind: 'accepted' });
    expect(server.messages().map(idOf).slice(-60)).toEqual(upTo(100).slice(40));
  });

  it('sends a refused message again, alone, and continues when it is accepted', async () => {
    let refusals = 0;
    await using server = await relpServer((frame, { answer }) =>
      idOf(frame.data) === 7 && refusals++ < 2 ? answer('500 not now') : answer(),
    );
    await using sink = sinkTo(server.port);
    const driven = await drive(sink, records(20));
    expect(driven).toMatchObject({ setAside: [], retries: [] });
    expect(
      server
        .messages()
        .map(idOf)
        .filter((id) => id === 7),
    ).toHaveLength(3);
    expect(new Set(server.messages().map(idOf))).toEqual(new Set(upTo(20)));
  });

  it('rejects a message that is refused repeatedly, and sends no acknowledged one twice', async () => {
    await using server = await relpServer((frame, { answer }) =>
      idOf(frame.data) === 7 ? answer('500 I will\r\nnot') : answer(),
    );
    await using sink = sinkTo(server.port);
    const verdict = await sink.send({ records: records(20) }, never);
    expect(verdict).toEqual({
      kind: 'reject',
      reason: 'malformed',
      detail: 'the collector refused it: 500 I will\\u000d\\u000anot',
      failedIndex: 6,
      acceptedPrefix: 6,
      acceptedIndexes: upTo(20)
        .slice(7)
        .map((id) => id - 1),
    });
    const before = server.messages().length;
    const driven = await drive(sink, records(20));
    expect(driven.setAside.map(({ id }) => id)).toEqual([7n]);
    const others = server
      .messages()
      .slice(before)
      .map(idOf)
      .filter((id) => id !== 7);
    expect(others).toEqual(upTo(20).filter((id) => id !== 7));
  });

  it('treats a serverclose as the end of the session', async () => {
    await using server = await relpServer((_, { count, connection, answer, socket }) => {
      if (connection === 0 && count === 5) socket.write('0 serverclose 0\n');
      else answer();
    });
    await using sink = sinkTo(server.port);
    expect(await sink.send({ records: records(10) }, never)).toMatchObject({
      kind: 'retry',
      reason: 'network',
      acceptedPrefix: 4,
    });
    expect(await sink.send({ records: records(10).slice(4) }, never)).toEqual({ kind: 'accepted' });
  });

  it('retries if no answer arrives in time', async () => {
    await using server = await relpServer((_, { count, answer }) => {
      if (count < 3) answer();
    });
    await using sink = sinkTo(server.port, '200ms');
    expect(await sink.send({ records: records(5) }, never)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
      acceptedPrefix: 2,
    });
  });

  it('waits for slow answers as long as they keep arriving', async () => {
    await using server = await relpServer((_, { count, answer }) => void setTimeout(answer, count * 150));
    await using sink = sinkTo(server.port, '400ms');
    expect(await sink.send({ records: records(5) }, never)).toEqual({ kind: 'accepted' });
  });

  it('waits for a server that reads slowly, as long as it reads', async () => {
    await using server = await relpServer();
    const big = Array.from({ length: 2 }, (_, index) =>
      encoded(eventOf({ id: index + 1, meta: { note: 'x'.repeat(1_000_000) } })),
    );
    await using sink = openSyslog(
      options({ address: `relp://127.0.0.1:${server.port}`, timeout: '300ms', maxMessageBytes: '1MiB' }),
      sinkDeps(),
    );
    // 64 KiB every 30 ms: longer than the timeout for each message.
    server.tcp.server.on('connection', (socket) => {
      socket.on('data', () => {
        socket.pause();
        setTimeout(() => socket.resume(), 30);
      });
    });
    expect(await sink.send({ records: big }, never)).toEqual({ kind: 'accepted' });
  });

  it('asks whether it is RELP if the open stays unanswered', async () => {
    await using server = await tcpServer();
    await using sink = sinkTo(server.port, '150ms');
    const verdict = await sink.send({ records: records(1) }, never);
    expect(verdict).toMatchObject({ kind: 'retry', reason: 'timeout', detail: expect.stringMatching(/speak RELP/) });
  });

  it('stops at a server that speaks another protocol or offers no syslog, and retries one that refuses the session', async () => {
    await using other = await tcpServer((socket) => socket.write('220 mail.example.com ESMTP\r\n'));
    await using without = await relpServer(undefined, '200 OK\nrelp_version=0\ncommands=eventlog,syslogx');
    await using refusing = await relpServer(undefined, '500 too many sessions');
    for (const [port, kind, reason] of [
      [other.port, 'stop', 'address'],
      [without.port, 'stop', 'address'],
      [refusing.port, 'retry', 'server'],
    ] as const) {
      await using sink = sinkTo(port);
      for (const verdict of [await sink.send({ records: records(1) }, never), await sink.probe(never)])
        expect(verdict).toMatchObject({ kind, reason });
    }
  });

  it('probes with open and close and delivers nothing', async () => {
    await using server = await relpServer();
    await using sink = sinkTo(server.port);
    expect(await sink.probe(never)).toEqual({ kind: 'accepted' });
    expect(server.frames.map(({ command }) => command)).toEqual(['open', 'close']);
  });

  it('throws the reason of the signal, and sends nothing more', async () => {
    await using server = await relpServer(() => {});
    await using sink = sinkTo(server.port);
    const forced = new AbortController();
    const sending = sink.send({ records: records(300) }, forced.signal);
    const outcome = expect(sending).rejects.toThrow('enough');
    await server.tcp.until(() => server.messages().length >= 128);
    forced.abort(new Error('enough'));
    await outcome;
    expect(server.messages()).toHaveLength(128);
  });
});
