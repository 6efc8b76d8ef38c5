import { connect, isIP, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { TlsMaterial } from '../../net/tls.ts';
import { type Fault, faultOf, retryFault } from './faults.ts';

export interface WireOptions {
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string };
  /** The address as a log line shows it. */
  readonly where: string;
  /** Present: TLS from the first byte. */
  readonly tls?: TlsMaterial['secure'] | undefined;
  /** Longest wait for the connection with its handshake, and for one write to be taken, milliseconds. */
  readonly timeoutMs: number;
}

/** After the first of several addresses got no answer for so long the next is tried beside it, milliseconds. */
const nextAddressMs = 1_000;
const keepAliveMs = 30_000;

/** One stream connection. Modes: open → half-closed (by `halfClose`) → over; or open → over with a fault. */
export class Wire {
  readonly socket: Socket;
  readonly #options: WireOptions;
  #fault: Fault | undefined;
  #halfClosed = false;
  #peerEnded = false;
  readonly #over: Promise<void>;
  #onOver: (() => void)[] = [];

  constructor(socket: Socket, options: WireOptions) {
    this.socket = socket;
    this.#options = options;
    this.#over = new Promise((resolve) => this.#onOver.push(resolve));
    socket.on('end', () => {
      this.#peerEnded = true;
      if (!this.#halfClosed) this.#end(retryFault('network', `${options.where}: the collector closed the connection`));
    });
    socket.on('error', (error) => this.#end(faultOf(error, options.where)));
    socket.on('close', () => {
      const clean = this.#halfClosed && this.#peerEnded;
      this.#end(clean ? undefined : retryFault('network', `${options.where}: the connection was closed`));
    });
    // Without a reader the peer's close goes unseen once it has sent a byte.
    socket.resume();
    if (socket.destroyed) this.#end(faultOf(socket.errored ?? new Error('the connection was closed'), options.where));
  }

  /** Why the connection is over, unless it ended by a half-close that the peer answered with its own. */
  get fault(): Fault | undefined {
    return this.#fault;
  }
  get isOver(): boolean {
    return this.#onOver.length === 0;
  }
  get isHalfClosed(): boolean {
    return this.#halfClosed;
  }
  /** Calls `listener` once, when the connection is over; at once if it is already. */
  whenOver(listener: () => void): void {
    if (this.isOver) listener();
    else this.#onOver.push(listener);
  }

  /** Hands `bytes` to the kernel, all of them; a fault where they are not taken within the timeout. Never rejects. */
  async write(bytes: Buffer): Promise<Fault | undefined> {
    if (this.isOver || this.#halfClosed || !this.socket.writable || this.socket.readableEnded)
      return this.#fault ?? retryFault('network', `${this.#options.where}: the connection was closed`);
    const { timeoutMs, where } = this.#options;
    const timer = setTimeout(
      () => this.#end(retryFault('timeout', `${where}: took nothing for ${timeoutMs} ms`)),
      timeoutMs,
    );
    const written = new Promise<void>((resolve) =>
      this.socket.write(bytes, (error) => {
        if (error != null) this.#end(faultOf(error, where));
        resolve();
      }),
    );
    await Promise.race([written, this.#over]);
    clearTimeout(timer);
    return this.#fault;
  }

  /** Sends our FIN after all that was written; the peer's, if it comes within `waitMs`, ends the wire without a fault. */
  async halfClose(waitMs: number): Promise<void> {
    if (this.isOver) return;
    this.#halfClosed = true;
    this.socket.end();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.#over, patience]);
    clearTimeout(timer);
  }

  /** Lets go of the connection; what the kernel holds is still sent. */
  destroy(): void {
    this.#end(retryFault('network', `${this.#options.where}: we closed the connection`));
  }

  #end(fault: Fault | undefined): void {
    if (this.isOver) return;
    this.#fault = fault;
    const listeners = this.#onOver;
    this.#onOver = [];
    this.socket.destroy();
    for (const listener of listeners) listener();
  }
}

/** Connects, trying every address the name has now. @throws the reason of `kill` */
export async function openWire(options: WireOptions, kill: AbortSignal): Promise<Wire | Fault> {
  kill.throwIfAborted();
  const { to, tls, where, timeoutMs } = options;
  let socket = connect({
    ...to,
    ...('host' in to && { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: nextAddressMs, noDelay: true }),
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  }).on('error', () => {});
  const killed = () => socket.destroy();
  let late: Fault | undefined;
  const timer = setTimeout(() => {
    const what = tls !== undefined && !socket.connecting ? 'no TLS handshake' : 'no connection';
    late = retryFault('timeout', `${where}: ${what} within ${timeoutMs} ms`, 'ETIMEDOUT');
    socket.destroy();
  }, timeoutMs);
  kill.addEventListener('abort', killed);
  try {
    await ready(socket, 'connect');
    if (tls !== undefined) {
      socket = secured(socket, to, tls).on('error', () => {});
      await ready(socket, 'secureConnect');
    }
    return new Wire(socket, options);
  } catch (error) {
    socket.destroy();
    kill.throwIfAborted();
    return late ?? faultOf(error, where);
  } finally {
    clearTimeout(timer);
    kill.removeEventListener('abort', killed);
  }
}

/** Resolves with the event; rejects with the socket's error, also for a close before it. */
function ready(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () =>
      reject(Object.assign(new Error('the collector closed the connection'), { code: 'ECONNRESET' })),
    );
  });
}

function secured(raw: Socket, to: WireOptions['to'], tls: TlsMaterial['secure']): TLSSocket {
  const host = 'host' in to ? to.host : '';
  const servername = tls.servername ?? (isIP(host) === 0 ? host : '');
  return tlsConnect({ ...tls, socket: raw, host, servername });
}
