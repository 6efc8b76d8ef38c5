import { createSocket, type Socket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { Mutex } from '../../lib/mutex.ts';
import { combined, type Lookup, resolveHost } from '../../lib/open-socket.ts';
import { sleep } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { type ConnectionFailure, closedByUs, failureOf } from './failures.ts';

export interface UdpOptions {
  readonly host: string;
  readonly port: number;
  readonly where: string;
  /** Longest wait for the name to be resolved, milliseconds. */
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly lookup?: Lookup;
}

/** A host's "port unreachable" arrives within this time in a local network, milliseconds; the wait also paces a flood. */
const listenMs = 10;
/** The name is resolved again after so long, milliseconds. */
const lookupEveryMs = 60_000;

/**
 * Syslog over UDP (RFC 5426): one message per datagram, accepted when the kernel has it. Nothing reports what arrives; but if
 * a host reports that the port is closed, the batch is sent to the name's next address, and handed back after the last.
 */
export class UdpDelivery {
  readonly #options: UdpOptions;
  readonly #mutex = new Mutex();
  #socket: Socket | undefined;
  #address: string | undefined;
  #openedAtMs = 0;
  /** What the host reported about the last datagrams. */
  #refused: NodeJS.ErrnoException | undefined;
  #isDisposed = false;

  constructor(options: UdpOptions) {
    this.#options = options;
  }

  /** @throws the reason of `signal` */
  send(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict> {
    return this.#mutex.take(() => this.#send(messages, signal));
  }

  /** Resolves the name and opens a socket to it; sends nothing. @throws the reason of `signal` */
  async probe(signal: AbortSignal): Promise<ConnectionFailure | undefined> {
    const { host, timeoutMs, lookup, where } = this.#options;
    const addresses = await resolveHost(host, timeoutMs, signal, lookup);
    signal.throwIfAborted();
    if (addresses instanceof Error) return failureOf(addresses, where);
    const errors: NodeJS.ErrnoException[] = [];
    for (const address of addresses) {
      const socket = await this.#open(address);
      if (!(socket instanceof Error)) {
        socket.close();
        return undefined;
      }
      errors.push(socket);
    }
    return failureOf(combined(errors), where);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#close();
  }

  #close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #send(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict> {
    signal.throwIfAborted();
    const { now, where } = this.#options;
    const isCurrent = Math.abs(now() - this.#openedAtMs) <= lookupEveryMs && this.#refused === undefined;
    if (this.#socket !== undefined && isCurrent) {
      const outcome = await this.#write(this.#socket, messages, signal);
      if (!(outcome instanceof Error)) return outcome;
    }
    const errors: NodeJS.ErrnoException[] = [];
    const candidates = await this.#candidates(signal);
    if (candidates instanceof Error) return failureOf(candidates, where).verdict;
    for (const address of candidates) {
      this.#close();
      if (this.#isDisposed) return closedByUs(where);
      const socket = await this.#open(address);
      const outcome = socket instanceof Error ? socket : await this.#use(socket, address, messages, signal);
      if (!(outcome instanceof Error)) return outcome;
      errors.push(outcome);
    }
    return failureOf(combined(errors), where).verdict;
  }

  /** Every address of the name: the one in use first, or last if its host has reported that the port is closed. */
  async #candidates(signal: AbortSignal): Promise<readonly LookupAddress[] | NodeJS.ErrnoException> {
    const { host, timeoutMs, lookup } = this.#options;
    const found = await resolveHost(host, timeoutMs, signal, lookup);
    signal.throwIfAborted();
    if (found instanceof Error) return found;
    const isUsed = ({ address }: LookupAddress) => address === this.#address;
    const [used, others] = [found.filter(isUsed), found.filter((one) => !isUsed(one))];
    return this.#refused === undefined ? [...used, ...others] : [...others, ...used];
  }

  /** Writes to a new socket, which later batches use if nothing speaks against it. */
  #use(socket: Socket, { address }: LookupAddress, messages: readonly Buffer[], signal: AbortSignal) {
    this.#socket = socket;
    this.#address = address;
    this.#openedAtMs = this.#options.now();
    return this.#write(socket, messages, signal);
  }

  /** The verdict, or the error that the host or the kernel reported. */
  async #write(
    socket: Socket,
    messages: readonly Buffer[],
    signal: AbortSignal,
  ): Promise<Verdict | NodeJS.ErrnoException> {
    this.#refused = undefined;
    for (const [index, message] of messages.entries()) {
      signal.throwIfAborted();
      const error = await sendOne(socket, message);
      if (error?.code === 'EMSGSIZE') return tooLarge(message, this.#options.where, index);
      if (error !== undefined) this.#refused = error;
      if (this.#refused !== undefined) return this.#refused;
    }
    await sleep(listenMs, signal);
    signal.throwIfAborted();
    return this.#refused ?? accepted;
  }

  /** A socket connected to `address`: only a connected one receives reports of a closed port. */
  async #open({ address, family }: LookupAddress): Promise<Socket | NodeJS.ErrnoException> {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      socket.connect(this.#options.port, address);
      await once(socket, 'connect');
    } catch (error) {
      socket.close();
      return error as NodeJS.ErrnoException;
    }
    socket.on('error', (error) => {
      if (socket === this.#socket) this.#refused = error;
    });
    return socket;
  }
}

/** The verdict on a message that no datagram can hold. */
export const tooLarge = ({ length }: Buffer, where: string, index: number): Verdict => ({
  kind: 'reject',
  reason: 'too_large',
  detail: `${length} bytes are more than a datagram to ${where} can hold: lower maxMessageBytes`,
  failedIndex: index,
  acceptedPrefix: index,
});

function sendOne(socket: Socket, message: Buffer): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    try {
      socket.send(message, (error) => resolve(error ?? undefined));
    } catch (error) {
      resolve(error as NodeJS.ErrnoException);
    }
  });
}
