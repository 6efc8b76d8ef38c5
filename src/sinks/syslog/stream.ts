/** Above 250 lines: one state machine and its description. */
import { Mutex } from '../../lib/mutex.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import type { Retry, Stop, Verdict } from '../../lib/verdict.ts';
import type { Sent } from '../sink.ts';
import { Connection } from './connection.ts';
import { type ConnectionFailure, closedByUs, retryFailure, unproven } from './failures.ts';
import { SentBatch, SentBatches } from './sent-batches.ts';
import { StreamPolicy } from './stream-policy.ts';

export interface StreamOptions {
  /** `doubtful`: the first connection, or the one before did not end well. @throws the reason of `signal` */
  readonly open: (signal: AbortSignal, doubtful: boolean) => Promise<Connection | ConnectionFailure>;
  /** The address as log lines show it. */
  readonly where: string;
  /** One of ten steps towards confirmation, milliseconds. */
  readonly stepMs: number;
  /** How long a half-closed peer may take for its own close, milliseconds. */
  readonly closeWaitMs: number;
  /** How long a connection must last to prove that the collector which closed the one before still runs, milliseconds. */
  readonly proofMs: number;
  readonly maxUnconfirmedBytes: number;
  readonly maxUnconfirmedBatches: number;
  /** How long the peer's TCP may acknowledge nothing of what it owes, milliseconds. */
  readonly timeoutMs: number;
}

export const streamDefaults = {
  stepMs: 1_000,
  closeWaitMs: 3_000,
  // A program that ends may close its listening socket so much later than its connections.
  proofMs: 5,
  maxUnconfirmedBytes: 2 * 1024 ** 2,
  maxUnconfirmedBatches: 256,
} as const;

/** Steps are counted, not read from a clock: a process that was suspended has seen nothing meanwhile. */
const steps = 10;
/** How long the peer of an idle connection may take for its own close at the end, milliseconds. */
const closeTimeoutMs = 500;

/**
 * Delivery over TCP, TLS and Unix streams, which have no acknowledgement that a program can see.
 *
 * States of a batch:
 * - unconfirmed: written to the connection. It leaves in one of three ways:
 *   - ten steps (10 s) without a close, and the peer's TCP has acknowledged it if the kernel reports that → accepted
 *   - the peer answers our half-close with its own close → answered
 *   - any other end of the connection → handed back, to be sent again
 * - answered: the close may be that of a collector which is being stopped and throws away what it had read (rsyslog under
 *   TLS does).
 *   - the next connection to the same peer opens and lasts for `proofMs` → accepted
 *   - it doesn't open, goes elsewhere or doesn't last → handed back
 *
 * States of the connection: none → open (`#open`) → half-closed (`#rotate`) → none. It is half-closed if nothing more is to
 * be sent (`finish`), if the unconfirmed batches reach their bound, and soon after a batch if the collector keeps closing
 * before time can confirm anything. StreamPolicy decides whether half-closes are worth a try and how many batches may be
 * unconfirmed.
 *
 * Trade-offs: time confirms late but costs nothing; a half-close confirms at once but costs a connection, and duplicates if
 * the collector answers it badly. A half-close proves nothing unless the kernel reports that everything was acknowledged
 * before it (`Connection.canProve`): without that only time confirms. What was handed back goes first: `send` writes nothing
 * if something was handed back after it was called. What is sent while an answer awaits its proof goes over the connection
 * that proves it.
 */
export class StreamDelivery {
  readonly #options: StreamOptions;
  #connection: Connection | undefined;
  /** The last connection that has ended. */
  #previous: Connection | undefined;
  #endedWell = false;
  readonly #batches = new SentBatches();
  readonly #policy: StreamPolicy;
  #isWriting = false;
  /** The last loss was that of a single batch, which should be sent in smaller ones. */
  #mustNarrow = false;
  #step = 0;
  #ticker: NodeJS.Timeout | undefined;
  #acknowledged = 0;
  #stalledSteps = 0;
  #proofTimer: NodeJS.Timeout | undefined;
  readonly #disposal = new AbortController();
  #hurrying: Promise<void> | undefined;
  /** Nothing may be written between the last look at what is acknowledged and our FIN. */
  readonly #mutex = new Mutex();

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#policy = new StreamPolicy(steps, options.maxUnconfirmedBatches);
  }

  /** Writes one batch of frames, unless older batches were handed back since the call. @throws the reason of `signal` */
  send(frames: Buffer, signal: AbortSignal): Promise<Verdict | Sent> {
    const { returns } = this.#batches;
    return this.#mutex.take(async () => {
      signal.throwIfAborted();
      if (this.#disposal.signal.aborted) return this.#closedByUs();
      const abort = () => this.#connection?.destroy();
      signal.addEventListener('abort', abort);
      try {
        return await this.#send(frames, returns, signal);
      } finally {
        signal.removeEventListener('abort', abort);
      }
    });
  }

  async #send(frames: Buffer, returns: number, signal: AbortSignal): Promise<Verdict | Sent> {
    if (!this.#hasRoom(frames.length)) await this.#makeRoom(frames.length, signal);
    const returnedBefore = this.#batches.returnedSince(returns);
    if (returnedBefore !== undefined) return returnedBefore;
    const connection = await this.#open(signal);
    signal.throwIfAborted();
    const returned = this.#batches.returnedSince(returns);
    if (returned !== undefined) return returned;
    if (!(connection instanceof Connection)) return connection.verdict;
    this.#isWriting = true;
    const failure = await connection.write(frames);
    this.#isWriting = false;
    signal.throwIfAborted();
    if (failure !== undefined) return this.#lossVerdict(failure);
    return { kind: 'sent', confirmed: this.#track(frames.length, connection, signal) };
  }

  /** Half-closes and waits until everything is confirmed or handed back. @throws the reason of `signal` */
  finish(signal: AbortSignal): Promise<void> {
    return this.#mutex.take(async () => {
      if (this.#batches.count > 0) await this.#rotate(signal);
      await this.#batches.proven(signal);
    });
  }

  /** Hands back what is unconfirmed. */
  async dispose(): Promise<void> {
    this.#disposal.abort();
    this.#prove(this.#closedByUs());
    if (this.#batches.count > 0) this.#connection?.destroy();
    else await this.#connection?.closeGracefully(closeTimeoutMs);
    // A batch that was being written when disposal began.
    this.#prove(this.#closedByUs());
    this.#batches.handBack(this.#closedByUs());
    await this.#hurrying;
  }

  #hasRoom(bytes: number): boolean {
    const { count } = this.#batches;
    return (
      count === 0 || (this.#batches.bytes + bytes <= this.#options.maxUnconfirmedBytes && count < this.#policy.window)
    );
  }

  get #mayHalfClose(): boolean {
    return this.#policy.mayHalfClose && this.#connection?.canProve !== false;
  }

  /** Waits until `bytes` more fit. */
  async #makeRoom(bytes: number, signal: AbortSignal): Promise<void> {
    if (!this.#mayHalfClose) return this.#batches.settled(() => this.#hasRoom(bytes), signal);
    await this.#rotate(signal);
    // What is sent before the proof may end the connection that proves: not while connections keep being lost.
    if (this.#policy.isCautious) await this.#batches.proven(signal);
  }

  /** Gets everything answered or confirmed: at once by a half-close, or with time. */
  async #rotate(signal: AbortSignal): Promise<void> {
    await this.#batches.proven(signal);
    const connection = this.#connection;
    const halfClosing = this.#mayHalfClose;
    if (halfClosing) await untilAborted(signal, connection?.halfClose(this.#options.closeWaitMs) ?? Promise.resolve());
    await this.#batches.settled(() => false, signal);
    // If time has confirmed everything, the answer is not needed any more.
    if (connection?.isHalfClosed) connection.destroy();
    // A connection that was lost before our FIN says nothing about how its peer answers one.
    if (halfClosing && connection?.isHalfClosed && connection.failure !== undefined)
      this.#policy.halfCloseEnded({ answered: false, proven: false }, this.#step);
    if (this.#batches.awaitsProof) await this.#open(signal);
  }

  /** Returns the connection, or opens one; that one proves, or disproves, what the close of the last has answered. */
  async #open(signal: AbortSignal): Promise<Connection | ConnectionFailure> {
    if (this.#connection?.isHalfClosed) this.#connection.destroy();
    if (this.#connection !== undefined) return this.#connection;
    const { where } = this.#options;
    let doubt: Retry | undefined = this.#closedByUs();
    try {
      const opened = await this.#options.open(signal, !this.#endedWell);
      if (!(opened instanceof Connection)) {
        doubt = unproven(where, opened.verdict.detail);
        return opened;
      }
      if (this.#disposal.signal.aborted) {
        opened.destroy();
        return { verdict: this.#closedByUs(), code: '' };
      }
      doubt = this.#previous?.isSucceededBy(opened) === false ? unproven(where, 'another host answered') : undefined;
      this.#connection = opened;
      this.#acknowledged = 0;
      this.#stalledSteps = 0;
      opened.whenOver(() => this.#onOver(opened));
      return opened;
    } finally {
      if (doubt !== undefined) this.#prove(doubt);
      else if (this.#batches.awaitsProof) this.#awaitProof(this.#connection);
    }
  }

  #awaitProof(connection: Connection | undefined): void {
    const prove = () => {
      if (connection === this.#connection) this.#prove();
    };
    // Timers run before sockets are polled: a close that has already arrived must be seen first.
    this.#proofTimer = setTimeout(() => setImmediate(prove), this.#options.proofMs);
  }

  /** Answered batches are accepted, or handed back if there is a `doubt` that the collector still runs. */
  #prove(doubt?: Retry): void {
    clearTimeout(this.#proofTimer);
    if (!this.#batches.awaitsProof) return;
    this.#policy.halfCloseEnded({ answered: true, proven: doubt === undefined }, this.#step);
    if (doubt === undefined) {
      this.#batches.prove();
      this.#policy.confirmed();
    } else {
      this.#endedWell = false;
      this.#batches.doubt(doubt);
    }
  }

  #onOver(connection: Connection): void {
    const { failure } = connection;
    this.#endedWell = failure === undefined;
    this.#previous = connection;
    this.#connection = undefined;
    this.#stopTicking();
    this.#prove(unproven(this.#options.where, failure?.verdict.detail ?? 'closed'));
    if (failure === undefined) {
      this.#batches.answer();
      return;
    }
    const lost = this.#batches.count + (this.#isWriting ? 1 : 0);
    if (lost > 0) this.#policy.lost();
    this.#mustNarrow = lost === 1 && this.#policy.mustNarrow;
    this.#batches.handBack(this.#lossVerdict(failure));
  }

  #lossVerdict({ verdict }: ConnectionFailure): Retry | Stop {
    return this.#mustNarrow && verdict.kind === 'retry' ? { ...verdict, narrow: true } : verdict;
  }

  #closedByUs(): Retry {
    return closedByUs(this.#options.where);
  }

  #track(bytes: number, connection: Connection, signal: AbortSignal): Promise<Verdict> {
    const written = { bytes, atStep: this.#step, end: connection.bytesWritten };
    const batch = new SentBatch(written, signal, () => this.#connection?.destroy());
    this.#batches.push(batch);
    // As for a proof: a close that has already arrived must be seen before the step counts.
    this.#ticker ??= setInterval(() => setImmediate(() => this.#tick()), this.#options.stepMs);
    return batch.verdict;
  }

  #tick(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#step++;
    if (this.#policy.mustHurry && connection.canProve) this.#hurrying ??= this.#hurry();
    if (this.#step - (this.#batches.oldest?.atStep ?? this.#step) <= steps) return;
    const acknowledged = connection.bytesAcknowledged ?? Number.POSITIVE_INFINITY;
    for (let { oldest } = this.#batches; oldest !== undefined; { oldest } = this.#batches) {
      if (this.#step - oldest.atStep <= steps || oldest.end > acknowledged) break;
      this.#batches.acceptOldest();
      this.#policy.confirmedByTime(this.#step);
    }
    this.#watch(connection, acknowledged);
  }

  /** Ends a connection whose peer is gone without a close: it acknowledges nothing. One that is slow still does. */
  #watch(connection: Connection, acknowledged: number): void {
    const { oldest } = this.#batches;
    if (oldest === undefined) {
      this.#stopTicking();
      if (connection.isHalfClosed) connection.destroy();
      return;
    }
    const { stepMs, timeoutMs, where } = this.#options;
    const isStalled = acknowledged < oldest.end && acknowledged <= this.#acknowledged;
    this.#acknowledged = acknowledged;
    this.#stalledSteps = isStalled ? this.#stalledSteps + 1 : 0;
    if (this.#stalledSteps * stepMs > timeoutMs)
      connection.destroy(retryFailure('timeout', `${where}: the collector acknowledged nothing for ${timeoutMs} ms`));
  }

  #stopTicking(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Half-closes a connection that would be closed before time can confirm what it carries. */
  async #hurry(): Promise<void> {
    const { signal } = this.#disposal;
    try {
      await this.finish(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.#hurrying = undefined;
  }
}
