import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, it } from 'vitest';
import { splunkHecOptions } from '../../src/sinks/splunk-hec/options.ts';
import { openSplunkHec } from '../../src/sinks/splunk-hec/sink.ts';
import { openStdout } from '../../src/sinks/stdout.ts';
import { openSyslog } from '../../src/sinks/syslog/definition.ts';
import { type Arrival, type SinkUnderTest, sinkConformance } from '../../src/testing/sink-conformance.ts';
import { type HecServer, startHecServer } from '../support/hec-server.ts';
import { quick } from '../support/hec-sink.ts';
import type { Asked, Fault } from '../support/hec-types.ts';
import { relpServer } from '../support/relp-server.ts';
import { options } from '../support/syslog.ts';
import { type TcpServer, tcpServer } from '../support/tcp-server.ts';
import { unixReceiver } from '../support/unix-receiver.ts';

const runner = { describe, it };

/** An arrival on a channel where only the JSON tells a status record. */
const byContent = (text: string): Arrival => ({ text, isStatus: text.includes('{"forwarder":{') });
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

class Pipe implements AsyncDisposable {
  text = '';
  isStalled = false;
  readonly #held: (() => void)[] = [];
  readonly stream = new Writable({
    write: (chunk, _, done) => {
      const take = () => {
        this.text += String(chunk);
        done();
      };
      if (this.isStalled) this.#held.push(take);
      else take();
    },
  });
  recover(): void {
    this.isStalled = false;
    for (const take of this.#held.splice(0)) take();
  }
  async [Symbol.asyncDispose]() {
    this.stream.destroy();
  }
}

sinkConformance(runner, {
  name: 'stdout',
  start: async () => new Pipe(),
  open: ({ stream }) => openStdout(stream),
  arrivals: ({ text }) => lines(text).map(byContent),
  stall: (pipe) => {
    pipe.isStalled = true;
  },
});

interface Hec extends AsyncDisposable {
  readonly server: HecServer;
  fault: Fault | undefined;
  rejected: string | undefined;
}

const hec = (name: string, tokenState: 'good' | 'ack', acknowledgement: boolean | 'auto'): SinkUnderTest<Hec> => ({
  name,
  async start() {
    const state: Pick<Hec, 'fault' | 'rejected'> = { fault: undefined, rejected: undefined };
    const server = await startHecServer({
      token,
      tokenState,
      fault: (_: Asked) => state.fault,
      refuse: (raw) => (state.rejected !== undefined && raw.includes(state.rejected) ? 6 : undefined),
    });
    return Object.assign(state, { server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() });
  },
  open: ({ server }, deps) =>
    openSplunkHec(
      splunkHecOptions.parse({ type: 'splunk-hec', url: server.url, token, acknowledgement, timeout: '5s' }),
      deps,
      quick,
    ),
  arrivals: ({ server }) =>
    server.events.map(({ raw, sourcetype }) => ({
      text: raw.toString(),
      isStatus: sourcetype === 'qasphere:forwarder',
    })),
  secrets: [token],
  fail: (at) => {
    at.fault = 'busy';
  },
  refuse: (at) => {
    at.fault = { status: 403, body: { code: 4, text: `Invalid token ${token}` } };
  },
  reject: (at, id) => {
    at.rejected = `{"id":${id},`;
  },
  stall: (at) => {
    at.fault = 'hang-before';
  },
  recover: (at) => {
    at.fault = undefined;
  },
});

const token = 'b7a1e2c4-0d6f-4c39-9a55-3f1d2e4c5b6a';
sinkConformance(runner, hec('splunk-hec without acknowledgement', 'good', false));
sinkConformance(runner, hec('splunk-hec with acknowledgement', 'ack', true));
sinkConformance(runner, hec('splunk-hec that detects acknowledgement', 'ack', 'auto'));

/** A TCP server that can go away and come back on its port. */
class Collector implements AsyncDisposable {
  #server: TcpServer;
  #before: string[] = [];
  #isStalled = false;
  static async start(): Promise<Collector> {
    return new Collector(await tcpServer());
  }
  private constructor(server: TcpServer) {
    this.#server = server;
  }
  get port(): number {
    return this.#server.port;
  }
  text(): string {
    return [...this.#before, ...this.#server.sockets.map((_, index) => this.#server.text(index))].join('');
  }
  connections(): number {
    return this.#server.sockets.filter(({ closed }) => !closed).length;
  }
  async fail(): Promise<void> {
    this.#before = [this.text()];
    await this.#server[Symbol.asyncDispose]();
  }
  /** Takes connections, and reads nothing from any. */
  stall(): void {
    this.#isStalled = true;
    for (const socket of this.#server.sockets) socket.pause();
    this.#server.server.on('connection', (socket) => this.#isStalled && socket.pause());
  }
  async recover(): Promise<void> {
    this.#isStalled = false;
    if (this.#server.server.listening) for (const socket of this.#server.sockets) socket.resume();
    else this.#server = await tcpServer(undefined, { port: this.port });
  }
  [Symbol.asyncDispose]() {
    return this.#server[Symbol.asyncDispose]();
  }
}

for (const framing of ['newline', 'octet-counting'])
  sinkConformance(runner, {
    name: `syslog over tcp, framing ${framing}`,
    start: Collector.start,
    open: ({ port }, deps) => openSyslog(options({ address: `tcp://127.0.0.1:${port}`, framing }), deps),
    arrivals: (at) =>
      at
        .text()
        .split(framing === 'newline' ? /\n/ : /(?:^|(?<=\}))\d+ (?=<\d+>1 )/)
        .filter((message) => message !== '')
        .map(byMsgId),
    fail: (at) => at.fail(),
    stall: (at) => at.stall(),
    recover: (at) => at.recover(),
    connections: (at) => at.connections(),
  });

/** An arrival of an RFC 5424 message, whose MSGID tells a status record. */
const byMsgId = (text: string): Arrival => ({ text, isStatus: / forwarder\.[a-z_]+ \[/.test(text) });

sinkConformance(runner, {
  name: 'syslog over relp',
  async start() {
    const state: { answers: 'ok' | 'refuse' | 'nothing'; rejected: string | undefined } = {
      answers: 'ok',
      rejected: undefined,
    };
    const messages: string[] = [];
    const server = await relpServer(({ data }, { answer }) => {
      if (state.answers === 'nothing') return;
      if (state.rejected !== undefined && data.includes(state.rejected)) return answer('500 refused');
      messages.push(data);
      answer();
    });
    return Object.assign(state, {
      server,
      messages,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    });
  },
  open: ({ server }, deps) => openSyslog(options({ address: `relp://127.0.0.1:${server.port}` }), deps),
  arrivals: ({ messages }) => messages.map(byMsgId),
  reject: (at, id) => {
    at.rejected = `{"id":${id},`;
  },
  stall: (at) => {
    at.answers = 'nothing';
  },
  recover: (at) => {
    at.answers = 'ok';
    for (const socket of at.server.tcp.sockets) socket.destroy();
  },
  connections: ({ server }) => server.tcp.sockets.filter(({ closed }) => !closed).length,
});

sinkConformance(runner, {
  name: 'syslog over udp',
  async start() {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    const messages: string[] = [];
    socket.on('message', (message) => messages.push(message.toString()));
    await once(socket, 'listening');
    return {
      messages,
      port: socket.address().port,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(resolve)),
    };
  },
  open: ({ port }, deps) => openSyslog(options({ address: `udp://127.0.0.1:${port}` }), deps),
  arrivals: ({ messages }) => messages.map(byMsgId),
  unordered: true,
});

const directoryFor = () => mkdtempSync(join(tmpdir(), 'conformance-'));

sinkConformance(runner, {
  name: 'syslog over a unix stream socket',
  async start() {
    const directory = directoryFor();
    const path = join(directory, 'log');
    const server = await tcpServer(undefined, { path });
    return {
      server,
      path,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        rmSync(directory, { recursive: true });
      },
    };
  },
  open: ({ path }, deps) => openSyslog(options({ address: `unix://${path}` }), deps),
  arrivals: ({ server }) => server.sockets.flatMap((_, index) => lines(server.text(index))).map(byMsgId),
  connections: ({ server }) => server.sockets.filter(({ closed }) => !closed).length,
});

sinkConformance(runner, {
  name: 'syslog over a unix datagram socket',
  async start() {
    const directory = directoryFor();
    const path = join(directory, 'log');
    const receiver = unixReceiver(path);
    const messages: string[] = [];
    // The kernel holds about ten datagrams: without a reader a sink waits.
    const reading = setInterval(() => messages.push(...receiver.take()), 2);
    return {
      path,
      messages,
      async [Symbol.asyncDispose]() {
        clearInterval(reading);
        receiver[Symbol.dispose]();
        rmSync(directory, { recursive: true });
      },
    };
  },
  open: ({ path }, deps) => openSyslog(options({ address: `unix://${path}` }), deps),
  arrivals: ({ messages }) => messages.map(byMsgId),
});
