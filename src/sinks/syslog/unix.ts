import { sleep } from '../../lib/shutdown.ts';
import { type UnixDatagramSocket, unixDatagramSocket } from '../../lib/unix-datagram.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { Sent } from '../sink.ts';
import { type ConnectionFailure, failureOf } from './failures.ts';
import { framed } from './framing.ts';
import type { Message } from './message.ts';
import type { StreamDelivery } from './stream.ts';

export interface UnixOptions {
  readonly path: string;
  readonly where: string;
  /** Longest wait for a full queue to move, milliseconds. */
  readonly timeoutMs: number;
}

/** A full queue (`net.unix.max_dgram_qlen`, often 10) is looked at again after 1 ms, 2 ms and so on up to this. */
const longestQueueWaitMs = 20;

/** A local socket of either kind: a stream is tried first, a datagram socket says EPROTOTYPE to that. */
export class UnixDelivery {
  readonly #options: UnixOptions;
  readonly #stream: StreamDelivery;
  #kind: 'stream' | 'datagram' = 'stream';
  #datagrams: UnixDatagramSocket | undefined;

  constructor(options: UnixOptions, stream: StreamDelivery) {
    this.#options = options;
    this.#stream = stream;
  }

  get returns(): number {
    return this.#stream.returns;
  }

  /** @throws the reason of `kill` */
  async send(messages: readonly Message[], kill: AbortSignal, returns?: number): Promise<Verdict | Sent> {
    if (this.#kind === 'stream') {
      const answer = await this.#stream.send(framed(messages, 'newline'), kill, returns);
      if (this.#stream.openFault !== 'EPROTOTYPE') return answer;
    }
    this.#kind = 'datagram';
    return this.#sendDatagrams(
      messages.map((message) => message.toBuffer()),
      kill,
    );
  }

  async finish(kill: AbortSignal): Promise<void> {
    await this.#stream.finish(kill);
  }

  async dispose(): Promise<void> {
    await this.#stream.dispose();
    this.#datagrams?.[Symbol.dispose]();
    this.#datagrams = undefined;
  }

  async #sendDatagrams(messages: readonly Buffer[], kill: AbortSignal): Promise<Verdict> {
    this.#datagrams ??= await unixDatagramSocket();
    if (this.#datagrams === undefined) return noDatagrams(this.#options.where).verdict;
    const { path, where, timeoutMs } = this.#options;
    for (const [index, message] of messages.entries()) {
      let code = this.#datagrams.send(message, path);
      for (let waited = 0, wait = 1; isFull(code) && waited < timeoutMs; waited += wait) {
        await sleep(wait, kill);
        kill.throwIfAborted();
        wait = Math.min(wait * 2, longestQueueWaitMs);
        code = this.#datagrams.send(message, path);
      }
      if (code === '') continue;
      if (isFull(code))
        return {
          kind: 'retry',
          reason: 'timeout',
          detail: `${where}: took nothing for ${timeoutMs} ms`,
          acceptedPrefix: index,
        };
      if (code === 'EMSGSIZE')
        return {
          kind: 'reject',
          reason: 'too_large',
          detail: `${message.length} bytes are more than a datagram to ${where} may have: lower maxMessageBytes`,
          failedIndex: index,
          acceptedPrefix: index,
        };
      if (code === 'EPROTOTYPE') this.#kind = 'stream';
      return { ...failureOf(Object.assign(new Error(code), { code }), where).verdict, acceptedPrefix: index };
    }
    return accepted;
  }
}

const isFull = (code: string) => code === 'EAGAIN' || code === 'ENOBUFS';

/** The fault of a datagram socket where this Node can't write to one. */
export const noDatagrams = (where: string): ConnectionFailure => ({
  code: 'EPROTOTYPE',
  verdict: {
    kind: 'stop',
    reason: 'address',
    detail: `${where} is a datagram socket, which takes Node 26 on Linux with node:ffi (under --permission: --allow-ffi)`,
  },
});
