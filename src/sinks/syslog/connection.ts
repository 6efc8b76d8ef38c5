import type { Socket } from 'node:net';
import { type ConnectionFailure, closedByUs, failureOf, hinted, retryFault } from './failures.ts';
import { bytesTaken, type KeptConnection } from './tcp-queue.ts';
import type { TcpLookup, TcpTable } from './tcp-table.ts';

export interface ConnectionRules {
  /** The address as a log line shows it. */
  readonly where: string;
  /** Longest wait for one write to be taken, milliseconds. */
  readonly timeoutMs: number;
  /** Where the kernel tells what is acknowledged. */
  readonly table: TcpTable;
  /** How long its connection took to be made, milliseconds. */
  readonly connectMs?: number;
  /** What a close soon after the start may mean. */
  readonly earlyCloseHint?: string | undefined;
}

/** A close within this time of the start is early, milliseconds. */
const earlyMs = 2_000;
/** The kernel is asked after 2 ms, by which a near peer has acknowledged all, again after 4 ms, and so on up to this. */
const firstLookupWaitMs = 2;
const longestLookupWaitMs = 200;
/** How long TCP's end may follow TLS's before it is not waited for any more: what waits of 1, 2, 4 ms and so on come to. */
const endWaitMs = 512;
/** A SYN without an answer is repeated after a second (RFC 6298, 2.1): whoever answers then may not be who was asked first. */
const repeatedMs = 1_000;

/** One stream connection. Modes: open → half-closed (by `halfClose`) → over; or open → over with a fault. */
export class Connection {
  readonly #socket: Socket;
  readonly #raw: Socket;
  readonly #rules: ConnectionRules;
  readonly #lookup: TcpLookup;
  readonly #openedAtMs = performance.now();
  readonly #peer: string;
  #fault: ConnectionFailure | undefined;
  #halfClosed = false;
  #peerEnded = false;
  #judging = false;
  readonly #over: Promise<void>;
  #onOver: (() => void)[] = [];

  /** `socket` is connected (and secured); `raw` is what it goes over, itself where that is plain. */
  constructor(socket: Socket, raw: Socket, rules: ConnectionRules) {
    this.#socket = socket;
    this.#raw = raw;
    this.#rules = rules;
    this.#lookup = rules.table.lookup(raw);
    this.#peer = `${raw.remoteAddress} ${raw.remotePort}`;
    this.#over = new Promise((resolve) => this.#onOver.push(resolve));
    socket.on('end', () => {
      this.#peerEnded = true;
      if (!this.#halfClosed) return this.#end(this.#closedByPeer());
      // TLS's close says nothing of what follows it, and Node does not look.
      const kept = socket === raw ? undefined : rules.table.keep(raw);
      if (kept !== undefined) void this.#judgeEnd(kept);
    });
    socket.on('error', (error) => this.#end(this.#failed(error)));
    socket.on('close', () => {
      if (this.#judging) return;
      this.#end(this.#halfClosed && this.#peerEnded ? undefined : this.#closedByPeer());
    });
    // Without a reader the peer's close goes unseen once it has sent a byte.
    socket.resume();
    if (socket.destroyed) this.#end(socket.errored === null ? this.#closedByPeer() : this.#failed(socket.errored));
  }

  /** Why the connection is over; undefined where a half-close was answered by the peer's own and nothing was in doubt. */
  get fault(): ConnectionFailure | undefined {
    return this.#fault;
  }
  get isOver(): boolean {
    return this.#onOver.length === 0;
  }
  get isHalfClosed(): boolean {
    return this.#halfClosed;
  }
  /** Bytes of all writes so far, as they go (under TLS: encrypted). */
  get bytesWritten(): number {
    return this.#raw.bytesWritten;
  }
  /** Calls `listener` once, when the connection is over; at once if it is already. */
  whenOver(listener: () => void): void {
    if (this.isOver) listener();
    else this.#onOver.push(listener);
  }
  /** Whether `next`, made after this one's end, goes to the same collector as far as can be told. */
  isSucceededBy(next: Connection): boolean {
    const isSlower = (next.#rules.connectMs ?? 0) >= repeatedMs && (this.#rules.connectMs ?? 0) < repeatedMs;
    return this.#peer === next.#peer && !isSlower;
  }
  onData(listener: (chunk: Buffer) => void): void {
    this.#socket.on('data', listener);
  }

  /** How many of the written bytes the other side's TCP has; undefined where the kernel does not tell. Never rejects. */
  async acknowledgedBytes(): Promise<number | undefined> {
    const taken = bytesTaken(this.#raw);
    const found = await this.#lookup();
    if (found === undefined || taken === undefined) return undefined;
    if (found.state === 'gone') return 0;
    return taken - found.unacknowledgedBytes;
  }

  /** Hands `bytes` to the kernel, all of them; a fault where they are not taken within the timeout. Never rejects. */
  async write(bytes: Buffer): Promise<ConnectionFailure | undefined> {
    if (this.isOver || this.#halfClosed || !this.#socket.writable || this.#socket.readableEnded)
      return this.#fault ?? this.#closedByPeer();
    const { timeoutMs, where } = this.#rules;
    const timer = setTimeout(
      () => this.#end(retryFault('timeout', `${where}: took nothing for ${timeoutMs} ms`)),
      timeoutMs,
    );
    const written = new Promise<void>((resolve) =>
      this.#socket.write(bytes, (error) => {
        if (error != null) this.#end(this.#failed(error));
        resolve();
      }),
    );
    await Promise.race([written, this.#over]);
    clearTimeout(timer);
    return this.#fault;
  }

  /** Writes without waiting; what goes wrong ends the wire. What is pushed in one turn goes out together. */
  push(bytes: Buffer): void {
    if (this.isOver) return;
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(bytes);
  }

  /**
   * Sends our FIN once the peer's TCP has all that was written; the peer's, if it comes within `waitMs`, ends the wire
   * without a fault.
   */
  async halfClose(waitMs: number): Promise<void> {
    await this.#drained();
    if (this.isOver || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#socket.end();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.#over, patience]);
    clearTimeout(timer);
  }

  /** Half-closes without insisting: at most `waitMs`, then the wire is over in any case. Never rejects. */
  async closeGently(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([this.halfClose(waitMs), promise]);
    clearTimeout(timer);
    this.destroy();
  }

  /** Ends the wire with `fault`; what the kernel holds is still sent. */
  destroy(fault: ConnectionFailure = { verdict: closedByUs(this.#rules.where), code: '' }): void {
    this.#end(fault);
  }

  /**
   * Waits until every byte is acknowledged, where the kernel tells. Of bytes still under way one could not know: a peer
   * that closes by itself meanwhile sends the same FIN as one that answers ours. One that closes without having read what
   * it acknowledged sends a reset instead.
   */
  async #drained(): Promise<void> {
    const { timeoutMs, where } = this.#rules;
    let least = Number.POSITIVE_INFINITY;
    let movedAtMs = performance.now();
    for (let waitMs = firstLookupWaitMs; !this.isOver; waitMs = Math.min(waitMs * 2, longestLookupWaitMs)) {
      // Timers run before the sockets are polled: a close that has already arrived is to be seen first. The kernel's state
      // does not show one that is only TLS's.
      await new Promise((resolve) => setTimeout(() => setImmediate(resolve), waitMs));
      if (this.isOver) return;
      const found = await this.#lookup();
      if (found === undefined) return;
      if (found.state === 'closing' || found.state === 'gone') this.#end(this.#closedByPeer());
      // The kernel may have nothing to send while Node still has.
      const owed = found.unacknowledgedBytes + this.#socket.writableLength;
      if (owed === 0) return;
      if (owed < least) movedAtMs = performance.now();
      least = Math.min(least, owed);
      if (performance.now() - movedAtMs > timeoutMs)
        this.#end(retryFault('timeout', `${where}: acknowledged nothing for ${timeoutMs} ms`));
    }
  }

  /** Whether the answer to our half-close came from one that has read all: that one sends no reset. Never rejects. */
  async #judgeEnd(kept: KeptConnection): Promise<void> {
    using connection = kept;
    this.#judging = true;
    let end = connection.end();
    for (let waitMs = 1; end === 'open' && waitMs < endWaitMs && !this.isOver; waitMs *= 2) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      end = connection.end();
    }
    this.#end(end === 'reset' ? this.#closedByPeer() : undefined);
  }

  #closedByPeer(): ConnectionFailure {
    return this.#failed(Object.assign(new Error('the collector closed the connection'), { code: 'ECONNRESET' }));
  }

  #failed(error: Error): ConnectionFailure {
    const { where, earlyCloseHint } = this.#rules;
    const fault = failureOf(error, where);
    const early = performance.now() - this.#openedAtMs < earlyMs;
    return earlyCloseHint !== undefined && early ? hinted(fault, earlyCloseHint) : fault;
  }

  #end(fault: ConnectionFailure | undefined): void {
    if (this.isOver) return;
    this.#fault = fault;
    const listeners = this.#onOver;
    this.#onOver = [];
    this.#socket.destroy();
    this.#raw.destroy();
    for (const listener of listeners) listener();
  }
}
