/** Above 250 lines: writing, half-closing and how a connection ends are one state machine. */
import type { Socket } from 'node:net';
import { type ConnectionFailure, closedByUs, failureOf, retryFailure, withHint } from './failures.ts';
import { bytesTaken, type KeptConnection, type TcpInfo } from './tcp-info.ts';

export interface ConnectionOptions {
  /** The address as log lines show it. */
  readonly where: string;
  /** How long the collector may make no progress with what we write, milliseconds. */
  readonly timeoutMs: number;
  /** Undefined for a Unix socket, or if the kernel can't be asked. */
  readonly tcpInfo: TcpInfo | undefined;
  /** How long the connection took to open, milliseconds. */
  readonly connectMs?: number;
  /** What a close soon after the start may mean. */
  readonly earlyCloseHint?: string | undefined;
}

/** A close within this time of the start is early, milliseconds. */
const earlyMs = 2_000;
/** Progress is looked at so often within `timeoutMs`. Looks are counted: a process that was suspended has seen nothing. */
const looksPerTimeout = 10;
/** Waits between looks at what is acknowledged: 2 ms, by which a near peer has acknowledged everything, 4 ms and so on. */
const firstLookMs = 2;
const maxLookMs = 200;
/** How long TCP's end may follow TLS's close_notify: waits of 1, 2, 4 ms and so on up to this. */
const maxEndWaitMs = 512;
/** An unanswered SYN is repeated after a second (RFC 6298 section 2.1): another host may then have answered than was first asked. */
const repeatedSynMs = 1_000;

/**
 * One stream connection to a collector.
 *
 * States: open → over, with a failure, on any close, error or stall; open → half-closed, by `halfClose`, once the peer's TCP
 * has acknowledged everything; half-closed → over without a failure, if the peer answers with its own close and nothing
 * suggests that it had not read everything; half-closed → over with a failure, on a reset or `destroy`.
 *
 * Only the end without a failure proves anything, so every doubt becomes a failure: a FIN that arrived before ours was sent,
 * and a reset behind TLS's close_notify.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #raw: Socket;
  readonly #options: ConnectionOptions;
  readonly #openedAtMs = performance.now();
  readonly #peer: string;
  readonly #isTcp: boolean;
  #failure: ConnectionFailure | undefined;
  #isOver = false;
  #halfClosed = false;
  #peerEnded = false;
  /** Waiting for TCP's end behind TLS's. */
  #awaitsTcpEnd = false;
  #onOver: (() => void)[] = [];
  readonly #over = new Promise<void>((resolve) => this.#onOver.push(resolve));

  /** `socket` is connected (and secured); `raw` is the socket below TLS, the same one without TLS. */
  constructor(socket: Socket, raw: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#raw = raw;
    this.#options = options;
    this.#isTcp = raw.remotePort !== undefined;
    this.#peer = `${raw.remoteAddress} ${raw.remotePort}`;
    socket.on('end', () => this.#onPeerEnd());
    socket.on('error', (error) => this.#end(this.#failed(error)));
    socket.on('close', () => {
      if (!this.#awaitsTcpEnd) this.#end(this.#halfClosed && this.#peerEnded ? undefined : this.#closedByPeer());
    });
    // Without a reader the peer's close goes unseen once the peer has sent a byte.
    socket.resume();
    if (socket.destroyed) this.#end(socket.errored === null ? this.#closedByPeer() : this.#failed(socket.errored));
  }

  /** Why the connection is over; undefined if the peer answered a half-close with its own close and nothing was in doubt. */
  get failure(): ConnectionFailure | undefined {
    return this.#failure;
  }
  get isOver(): boolean {
    return this.#isOver;
  }
  get isHalfClosed(): boolean {
    return this.#halfClosed;
  }
  /**
   * Whether an answered half-close proves that everything was read. On TCP it takes the kernel's word that everything was
   * acknowledged before: a FIN that the peer sends by itself looks the same as an answer. A Unix socket has nothing on the way.
   */
  get canProve(): boolean {
    return !this.#isTcp || this.#options.tcpInfo !== undefined;
  }
  /** Bytes of all writes so far, as they travel (under TLS: encrypted). */
  get bytesWritten(): number {
    return this.#raw.bytesWritten;
  }
  /** How many of the written bytes the peer's TCP has; undefined if the kernel does not report it. */
  get bytesAcknowledged(): number | undefined {
    const taken = bytesTaken(this.#raw);
    const found = this.#options.tcpInfo?.look(this.#raw);
    if (found === undefined || taken === undefined) return undefined;
    return found.state === 'gone' ? 0 : taken - found.unacknowledgedBytes;
  }
  /** Grows as the collector takes what was written: acknowledged bytes, else bytes that our kernel has taken. */
  get progress(): number {
    return this.bytesAcknowledged ?? bytesTaken(this.#raw) ?? this.#raw.bytesWritten - this.#raw.writableLength;
  }
  /** Calls `listener` once, when the connection is over; at once if it is. */
  whenOver(listener: () => void): void {
    if (this.#isOver) listener();
    else this.#onOver.push(listener);
  }
  /** Whether `next`, opened after the end of this one, leads to the same collector as far as can be seen. */
  isSucceededBy(next: Connection): boolean {
    const [before, after] = [this.#options.connectMs ?? 0, next.#options.connectMs ?? 0];
    return this.#peer === next.#peer && !(after >= repeatedSynMs && before < repeatedSynMs);
  }
  onData(listener: (chunk: Buffer) => void): void {
    this.#socket.on('data', listener);
  }

  /**
   * Hands all of `bytes` to the kernel; a failure if the collector makes no progress for the timeout. One that is slow but
   * keeps reading is waited for. Never rejects.
   */
  async write(bytes: Buffer): Promise<ConnectionFailure | undefined> {
    if (this.#isOver || this.#halfClosed || !this.#socket.writable || this.#socket.readableEnded)
      return this.#failure ?? this.#closedByPeer();
    const { timeoutMs, where } = this.#options;
    const stopWatching = this.onStall(() =>
      this.#end(retryFailure('timeout', `${where}: the collector read nothing for ${timeoutMs} ms`)),
    );
    const written = new Promise<void>((resolve) =>
      this.#socket.write(bytes, (error) => {
        if (error != null) this.#end(this.#failed(error));
        resolve();
      }),
    );
    await Promise.race([written, this.#over]);
    stopWatching();
    return this.#failure;
  }

  /** Writes without waiting; an error ends the connection. Writes of one turn of the event loop go out together. */
  push(bytes: Buffer): void {
    if (this.#isOver) return;
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(bytes);
  }

  /**
   * Calls `stalled` once neither `progress` nor `answers` has changed for the timeout, then again after as long. Returns how
   * to stop.
   */
  onStall(stalled: () => void, answers: () => number = () => 0): () => void {
    let last = this.progress + answers();
    let quietLooks = 0;
    const look = () => {
      const now = this.progress + answers();
      quietLooks = now === last ? quietLooks + 1 : 0;
      last = now;
      if (quietLooks < looksPerTimeout) return;
      quietLooks = 0;
      stalled();
    };
    const timer = setInterval(look, this.#options.timeoutMs / looksPerTimeout);
    return () => clearInterval(timer);
  }

  /** Sends our FIN once the peer's TCP has everything; if the peer's FIN follows within `waitMs`, the connection ends well. */
  async halfClose(waitMs: number): Promise<void> {
    await this.#untilAcknowledged();
    if (this.#isOver || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#socket.end();
    await this.#overWithin(waitMs);
  }

  /** Half-closes for at most `waitMs`, then ends the connection in any case. Never rejects. */
  async closeGracefully(waitMs: number): Promise<void> {
    const closing = this.halfClose(waitMs);
    await this.#overWithin(waitMs);
    this.destroy();
    await closing;
  }

  /** Ends the connection with `failure`; what the kernel holds is still sent. */
  destroy(failure: ConnectionFailure = { verdict: closedByUs(this.#options.where), code: '' }): void {
    this.#end(failure);
  }

  async #overWithin(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([this.#over, promise]);
    clearTimeout(timer);
  }

  /**
   * Waits until every byte is acknowledged, if the kernel reports it. With bytes on their way nothing could be concluded: a
   * peer that closes by itself meanwhile sends the same FIN as one that answers ours. A peer that closes without having read
   * what it acknowledged sends a reset instead.
   */
  async #untilAcknowledged(): Promise<void> {
    const { timeoutMs, where, tcpInfo } = this.#options;
    const stopWatching = this.onStall(() => {
      this.#end(retryFailure('timeout', `${where}: the collector acknowledged nothing for ${timeoutMs} ms`));
    });
    for (let waitMs = firstLookMs; !this.#isOver; waitMs = Math.min(waitMs * 2, maxLookMs)) {
      // Timers run before sockets are polled: a close that has already arrived must be seen first, and the kernel's state
      // does not show one that is only TLS's.
      await new Promise((resolve) => setTimeout(() => setImmediate(resolve), waitMs));
      if (this.#isOver) break;
      const found = tcpInfo?.look(this.#raw);
      if (found === undefined) break;
      if (found.state !== 'established') this.#end(this.#closedByPeer());
      // The kernel may have nothing to send while Node still has.
      if (found.unacknowledgedBytes + this.#socket.writableLength === 0) break;
    }
    stopWatching();
  }

  #onPeerEnd(): void {
    this.#peerEnded = true;
    if (!this.#halfClosed) {
      this.#end(this.#closedByPeer());
      return;
    }
    // TLS's close_notify says nothing about the TCP close that follows it, and Node does not look.
    const kept = this.#socket === this.#raw ? undefined : this.#options.tcpInfo?.keep(this.#raw);
    if (kept !== undefined) void this.#endWithTcp(kept);
  }

  /** Ends the connection as TCP ends: a peer that had not read everything resets it. Never rejects. */
  async #endWithTcp(kept: KeptConnection): Promise<void> {
    using connection = kept;
    this.#awaitsTcpEnd = true;
    let end = connection.end();
    for (let waitMs = 1; end === 'open' && waitMs < maxEndWaitMs && !this.#isOver; waitMs *= 2) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      end = connection.end();
    }
    this.#end(end === 'reset' ? this.#closedByPeer() : undefined);
  }

  #closedByPeer(): ConnectionFailure {
    return this.#failed(Object.assign(new Error('the collector closed the connection'), { code: 'ECONNRESET' }));
  }

  #failed(error: Error): ConnectionFailure {
    const { where, earlyCloseHint } = this.#options;
    const failure = failureOf(error, where);
    const isEarly = performance.now() - this.#openedAtMs < earlyMs;
    return earlyCloseHint !== undefined && isEarly ? withHint(failure, earlyCloseHint) : failure;
  }

  #end(failure: ConnectionFailure | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    const listeners = this.#onOver;
    this.#onOver = [];
    this.#socket.destroy();
    this.#raw.destroy();
    for (const listener of listeners) listener();
  }
}
