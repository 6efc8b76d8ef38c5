import { Mutex } from '../../lib/mutex.ts';
import { sleep } from '../../lib/shutdown.ts';
import { type UnixDatagramSocket, unixDatagramSocket } from '../../lib/unix-datagram.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { Sent } from '../sink.ts';
import { Connection } from './connection.ts';
import { type ConnectionFailure, failureOf } from './failures.ts';
import { type Framing, frame } from './framing.ts';
import { openConnection } from './open-connection.ts';
import { StreamDelivery, streamDefaults } from './stream.ts';
import { tooLarge } from './udp.ts';

export interface UnixOptions {
  readonly path: string;
  readonly where: string;
  /** On a stream; a datagram holds one message. */
  readonly framing: Framing;
  /** Longest wait for a connection, for progress on a stream, and for room in a full queue, milliseconds. */
  readonly timeoutMs: number;
}

/** A full queue (`net.unix.max_dgram_qlen`, often 10) is tried again after 1 ms, 2 ms and so on up to this. */
const maxQueueWaitMs = 20;

/** A local socket of either kind. A stream is tried first: a datagram socket refuses it with EPROTOTYPE. */
export class UnixDelivery {
  readonly #options: UnixOptions;
  readonly #stream: StreamDelivery;
  readonly #mutex = new Mutex();
  #isStream = true;
  /** The verdict of the attempt that showed that the path is a datagram socket. */
  #refusal: Verdict | undefined;
  #datagrams: UnixDatagramSocket | undefined;

  constructor(options: UnixOptions) {
    this.#options = options;
    const { where, timeoutMs } = options;
    const open = async (signal: AbortSignal) => {
      const opened = await this.#connect(signal);
      if (!(opened instanceof Connection) && opened.code === 'EPROTOTYPE') {
        this.#isStream = false;
        this.#refusal = opened.verdict;
      }
      return opened;
    };
    this.#stream = new StreamDelivery({ ...streamDefaults, where, timeoutMs, open });
  }

  /** @throws the reason of `signal` */
  async send(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict | Sent> {
    if (this.#isStream) {
      const answer = await this.#stream.send(frame(messages, this.#options.framing), signal);
      // Older batches that were handed back meanwhile have another verdict, and go first.
      if (answer !== this.#refusal) return answer;
    }
    return this.#mutex.take(() => this.#sendDatagrams(messages, signal));
  }

  async finish(signal: AbortSignal): Promise<void> {
    await this.#stream.finish(signal);
  }

  /** Connects, or creates a datagram socket; sends nothing. @throws the reason of `signal` */
  async probe(signal: AbortSignal): Promise<ConnectionFailure | undefined> {
    const opened = await this.#connect(signal);
    if (opened instanceof Connection) {
      await opened.closeGracefully(probeCloseMs);
      return undefined;
    }
    if (opened.code !== 'EPROTOTYPE') return opened;
    using datagrams = await unixDatagramSocket();
    return datagrams === undefined ? noDatagrams(this.#options.where) : undefined;
  }

  async dispose(): Promise<void> {
    await this.#stream.dispose();
    this.#datagrams?.[Symbol.dispose]();
    this.#datagrams = undefined;
  }

  #connect(signal: AbortSignal): Promise<Connection | ConnectionFailure> {
    const { path, where, timeoutMs } = this.#options;
    return openConnection({ to: { path }, where, timeoutMs }, signal);
  }

  async #sendDatagrams(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict> {
    this.#datagrams ??= await unixDatagramSocket();
    if (this.#datagrams === undefined) return noDatagrams(this.#options.where).verdict;
    const { where, timeoutMs } = this.#options;
    for (const [index, message] of messages.entries()) {
      const code = await this.#sendDatagram(this.#datagrams, message, signal);
      if (code === '') continue;
      const acceptedPrefix = index;
      if (isFull(code)) {
        const detail = `${where}: the queue of the socket stayed full for ${timeoutMs} ms`;
        return { kind: 'retry', reason: 'timeout', detail, acceptedPrefix };
      }
      if (code === 'EMSGSIZE') return tooLarge(message, where, index);
      if (code === 'EPROTOTYPE') this.#isStream = true;
      return { ...failureOf(Object.assign(new Error(code), { code }), where).verdict, acceptedPrefix };
    }
    return accepted;
  }

  /** Waits while the queue is full. Returns '' or the system's error name. */
  async #sendDatagram(socket: UnixDatagramSocket, message: Buffer, signal: AbortSignal): Promise<string> {
    const { path, timeoutMs } = this.#options;
    let code = socket.send(message, path);
    for (let waited = 0, wait = 1; isFull(code) && waited < timeoutMs; waited += wait) {
      await sleep(wait, signal);
      signal.throwIfAborted();
      wait = Math.min(wait * 2, maxQueueWaitMs);
      code = socket.send(message, path);
    }
    return code;
  }
}

/** How long the peer may take for its close when the probe is done, milliseconds. */
const probeCloseMs = 500;

const isFull = (code: string) => code === 'EAGAIN' || code === 'ENOBUFS';

const noDatagrams = (where: string): ConnectionFailure => ({
  code: 'EPROTOTYPE',
  verdict: {
    kind: 'stop',
    reason: 'address',
    detail: `${where} is a datagram socket, which requires Node 26 on Linux with node:ffi (under --permission: --allow-ffi)`,
  },
});
