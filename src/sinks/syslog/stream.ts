import { Mutex } from '../../lib/mutex.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import type { Retry, Verdict } from '../../lib/verdict.ts';
import type { Sent } from '../sink.ts';
import { Connection } from './connection.ts';
import { type ConnectionFailure, closedByUs, retryFault, unproven } from './failures.ts';
import { HalfCloses } from './half-closes.ts';
import { SentBatch } from './sent-batch.ts';
import { SentBatches } from './sent-batches.ts';
import { Stall } from './stall.ts';
import type { StreamRules } from './stream-rules.ts';

/** Steps are counted, not read from a clock: a process that was halted for a while has seen nothing meanwhile. */
const steps = 10;
/** How long the peer of an idle connection may take for its own close in the end, milliseconds. */
const farewellMs = 500;

/**
 * Delivery without acknowledgement: what was written counts as accepted after ten steps without a close (and, where the
 * kernel tells, acknowledged by the peer's TCP), or when a half-close is answered by the peer's and the next connection
 * can be made: a collector that is being stopped may have thrown away what it had read last, and its close looks like an
 * answer. A close nobody asked for hands every unconfirmed batch back for a retry. When the unconfirmed bytes reach their
 * bound the connection is rotated: half-closed, which confirms them all, and replaced.
 */
export class StreamDelivery {
  readonly #rules: StreamRules;
  #wire: Connection | undefined;
  /** The connection before, where that has ended. */
  #before: Connection | undefined;
  readonly #outstanding = new SentBatches();
  #step = 0;
  #ticker: NodeJS.Timeout | undefined;
  #ticking = false;
  readonly #stall = new Stall();
  readonly #halfCloses = new HalfCloses(steps);
  #endedWell = false;
  #proof: NodeJS.Timeout | undefined;
  readonly #signals = new AbortController();
  #hastening: Promise<void> | undefined;
  /** Nothing may be written between the last look at what is acknowledged and our FIN. */
  readonly #turns = new Mutex();
  /** Why the last connection could not be made; '' where it could. */
  openFault = '';

  constructor(rules: StreamRules) {
    this.#rules = rules;
  }

  /** How often batches came back so far. */
  get returns(): number {
    return this.#outstanding.returned.count;
  }

  /**
   * Writes the frames of one batch, unless something came back after `returns` was so many: that is older, and goes first.
   * @throws the reason of `kill`
   */
  send(frames: Buffer, kill: AbortSignal, returns = this.returns): Promise<Verdict | Sent> {
    return this.#turns.take(async () => {
      kill.throwIfAborted();
      if (this.#signals.signal.aborted) return this.#closed();
      const drop = () => this.#wire?.destroy();
      kill.addEventListener('abort', drop);
      try {
        if (!this.#outstanding.hasRoom(frames.length, this.#rules)) await this.#makeRoom(frames.length, kill);
        const wire = this.#backSince(returns) ?? (await this.#open(kill));
        kill.throwIfAborted();
        const back = this.#backSince(returns);
        if (back !== undefined) return back.verdict;
        if (!(wire instanceof Connection)) return wire.verdict;
        const fault = await wire.write(frames);
        kill.throwIfAborted();
        if (fault !== undefined) return fault.verdict;
        return { kind: 'sent', confirmed: this.#confirmed(frames.length, wire, kill) };
      } finally {
        kill.removeEventListener('abort', drop);
      }
    });
  }

  /** Half-closes and waits until everything is confirmed or handed back. @throws the reason of `kill` */
  finish(kill: AbortSignal): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#outstanding.count > 0) await this.#rotate(kill);
      await this.#outstanding.proven(kill);
    });
  }

  /** What is unconfirmed is handed back. */
  async dispose(): Promise<void> {
    this.#signals.abort();
    this.#prove(this.#closed());
    if (this.#outstanding.count > 0) this.#wire?.destroy();
    else await this.#wire?.closeGently(farewellMs);
    // A batch whose writing ended meanwhile.
    this.#prove(this.#closed());
    this.#outstanding.handBack(this.#closed());
    await this.#hastening;
  }

  #backSince(returns: number): ConnectionFailure | undefined {
    const { count, verdict } = this.#outstanding.returned;
    if (count === returns || verdict === undefined) return undefined;
    // Of the connection that the older ones will ask for.
    this.openFault = '';
    return { verdict, code: '' };
  }

  /** What opens, and lasts, proves what the close before has answered. */
  async #open(kill: AbortSignal): Promise<Connection | ConnectionFailure> {
    if (this.#wire?.isHalfClosed) this.#wire.destroy();
    if (this.#wire !== undefined) return this.#wire;
    let doubt: Retry | undefined = this.#closed();
    try {
      const opened = await this.#rules.open(kill, !this.#endedWell);
      this.openFault = opened instanceof Connection ? '' : opened.code;
      if (!(opened instanceof Connection)) {
        doubt = unproven(this.#rules.where, opened.verdict.detail);
        return opened;
      }
      if (this.#signals.signal.aborted) {
        opened.destroy();
        return { verdict: this.#closed(), code: '' };
      }
      doubt =
        this.#before?.isSucceededBy(opened) === false ? unproven(this.#rules.where, 'it went elsewhere') : undefined;
      this.#wire = opened;
      this.#stall.reset();
      opened.whenOver(() => this.#over(opened));
      return opened;
    } finally {
      if (doubt !== undefined) this.#prove(doubt);
      else if (this.#outstanding.awaitsProof) this.#awaitProof(this.#wire);
    }
  }

  #awaitProof(wire: Connection | undefined): void {
    const prove = () => {
      if (wire === this.#wire) this.#prove();
    };
    // Timers run before the sockets are polled: a close that has already arrived comes first.
    this.#proof = setTimeout(() => setImmediate(prove), this.#rules.proofMs);
  }

  /** The collector goes on after its close, unless there is a `doubt`. */
  #prove(doubt?: Retry): void {
    clearTimeout(this.#proof);
    if (!this.#outstanding.awaitsProof) return;
    this.#halfCloses.ended({ answered: true, proven: doubt === undefined }, this.#step);
    if (doubt === undefined) this.#outstanding.prove();
    else {
      this.#endedWell = false;
      this.#outstanding.doubt(doubt);
    }
  }

  #closed(): Retry {
    return closedByUs(this.#rules.where);
  }

  #over(wire: Connection): void {
    this.#endedWell = wire.fault === undefined;
    this.#before = wire;
    this.#wire = undefined;
    this.#stopTicking();
    this.#prove(unproven(this.#rules.where, wire.fault?.verdict.detail ?? 'closed'));
    if (wire.fault !== undefined && this.#outstanding.count > 0) this.#halfCloses.lost();
    if (wire.fault === undefined) this.#outstanding.answer();
    else this.#outstanding.handBack(wire.fault.verdict);
  }

  #confirmed(bytes: number, wire: Connection, kill: AbortSignal): Promise<Verdict> {
    const written = { bytes, atStep: this.#step, end: wire.bytesWritten };
    const batch = new SentBatch(written, kill, () => this.#wire?.destroy());
    this.#outstanding.push(batch);
    // Timers run before the sockets are polled: a close that has already arrived is to be seen before the step counts.
    this.#ticker ??= setInterval(() => setImmediate(() => void this.#tick()), this.#rules.stepMs);
    return batch.verdict;
  }

  /** A collector that closes sooner than time can confirm is asked to. */
  async #hasten(): Promise<void> {
    const { signal } = this.#signals;
    try {
      await this.finish(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.#hastening = undefined;
  }

  async #tick(): Promise<void> {
    const wire = this.#wire;
    if (wire === undefined || this.#ticking) return;
    this.#step++;
    if (this.#halfCloses.hasten) this.#hastening ??= this.#hasten();
    if (this.#step - (this.#outstanding.oldest?.atStep ?? this.#step) <= steps) return;
    this.#ticking = true;
    const acknowledged = (await wire.acknowledgedBytes()) ?? Number.POSITIVE_INFINITY;
    this.#ticking = false;
    if (wire.isOver) return;
    for (let { oldest } = this.#outstanding; oldest !== undefined; { oldest } = this.#outstanding) {
      if (this.#step - oldest.atStep <= steps || oldest.end > acknowledged) break;
      this.#outstanding.acceptOldest();
      this.#halfCloses.confirmedByTime(this.#step);
    }
    this.#watch(wire, acknowledged);
  }

  /** A peer that is gone without a word acknowledges nothing; one that is slow still moves. */
  #watch(wire: Connection, acknowledged: number): void {
    const { oldest } = this.#outstanding;
    if (oldest === undefined) {
      this.#stopTicking();
      if (wire.isHalfClosed) wire.destroy();
      return;
    }
    const { stepMs, timeoutMs, where } = this.#rules;
    if (this.#stall.steps(acknowledged, oldest.end) * stepMs > timeoutMs)
      wire.destroy(retryFault('timeout', `${where}: acknowledged nothing for ${timeoutMs} ms`));
  }

  #stopTicking(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Waits until `bytes` more fit. */
  async #makeRoom(bytes: number, kill: AbortSignal): Promise<void> {
    if (this.#halfCloses.mayTry) await this.#rotate(kill);
    else await this.#outstanding.settled(() => this.#outstanding.hasRoom(bytes, this.#rules), kill);
  }

  /** Gets everything confirmed, but for the proof: at once by a half-close, or with time. */
  async #rotate(kill: AbortSignal): Promise<void> {
    await this.#outstanding.proven(kill);
    const wire = this.#wire;
    const halfClosing = this.#halfCloses.mayTry;
    if (halfClosing) await untilAborted(kill, wire?.halfClose(this.#rules.closeWaitMs) ?? Promise.resolve());
    await this.#outstanding.settled(() => false, kill);
    // Time may have confirmed all that it carried: nobody waits for its answer any more.
    if (wire?.isHalfClosed) wire.destroy();
    // One lost before our FIN went out says nothing of how its peer answers that.
    if (halfClosing && wire?.isHalfClosed && wire.fault !== undefined)
      this.#halfCloses.ended({ answered: false, proven: false }, this.#step);
    if (this.#outstanding.awaitsProof) await this.#open(kill);
  }
}
