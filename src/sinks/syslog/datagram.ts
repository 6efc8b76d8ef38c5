import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { sleep } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { type ConnectionFailure, failureOf } from './failures.ts';

export interface DatagramOptions {
  readonly host: string;
  readonly port: number;
  readonly where: string;
}

/** A host's "port unreachable" comes back within this time in a local network, milliseconds; it also paces a flood. */
const listenMs = 10;
/** The name is looked up again after so long, milliseconds. */
const lookupEveryMs = 60_000;

/**
 * Syslog over UDP (RFC 5426): one message a datagram, accepted when the kernel has it. Nobody tells what arrives; but
 * where the other host says that the port is closed, the batch is handed back for a retry.
 */
export class DatagramDelivery {
  readonly #options: DatagramOptions;
  readonly #now: () => number;
  #socket: Socket | undefined;
  #openedAtMs = 0;
  #refused: Error | undefined;

  constructor(options: DatagramOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** @throws the reason of `kill` */
  async send(messages: readonly Buffer[], kill: AbortSignal): Promise<Verdict> {
    kill.throwIfAborted();
    if (Math.abs(this.#now() - this.#openedAtMs) > lookupEveryMs) this.dispose();
    try {
      this.#socket ??= await this.#open();
    } catch (error) {
      return failureOf(error, this.#options.where).verdict;
    }
    this.#refused = undefined;
    for (const [index, message] of messages.entries()) {
      kill.throwIfAborted();
      const error = await sendOne(this.#socket, message);
      if (error?.code === 'EMSGSIZE')
        return {
          kind: 'reject',
          reason: 'too_large',
          detail: `${message.length} bytes are more than a datagram to ${this.#options.where} may have: lower maxMessageBytes`,
          failedIndex: index,
          acceptedPrefix: index,
        };
      if (error !== undefined || this.#refused !== undefined) return this.#handBack(error ?? this.#refused);
    }
    await sleep(listenMs, kill);
    kill.throwIfAborted();
    return this.#refused === undefined ? accepted : this.#handBack(this.#refused);
  }

  /** Looks the name up and opens a socket towards it; sends nothing. */
  async probe(kill: AbortSignal): Promise<ConnectionFailure | undefined> {
    try {
      this.#socket ??= await this.#open();
    } catch (error) {
      return failureOf(error, this.#options.where);
    }
    kill.throwIfAborted();
    return undefined;
  }

  dispose(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #handBack(error: unknown): Verdict {
    this.dispose();
    return failureOf(error, this.#options.where).verdict;
  }

  /** A socket connected to the first address that has a route: only a connected one hears of a closed port. */
  async #open(): Promise<Socket> {
    const { host, port } = this.#options;
    let failure: unknown;
    for (const { address, family } of await lookup(host, { all: true })) {
      const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
      try {
        socket.connect(port, address);
        await once(socket, 'connect');
      } catch (error) {
        failure = error;
        socket.close();
        continue;
      }
      socket.on('error', (error) => {
        this.#refused = error;
      });
      this.#openedAtMs = this.#now();
      return socket;
    }
    throw failure;
  }
}

function sendOne(socket: Socket, message: Buffer): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    try {
      socket.send(message, (error) => resolve(error ?? undefined));
    } catch (error) {
      resolve(error as NodeJS.ErrnoException);
    }
  });
}
