import { unless } from '../../core/life.ts';
import { accepted, type Verdict } from '../../core/verdict.ts';
import type { Sent } from '../sink.ts';
import { type Fault, retryFault } from './faults.ts';
import { HalfCloses } from './half-closes.ts';
import { Unconfirmed } from './unconfirmed.ts';
import { Wire } from './wire.ts';

export interface OpenPurpose {
  /** The first connection, or the one before did not end well. */
  readonly doubtful: boolean;
  /** To show that the collector goes on after it closed. */
  readonly proves: boolean;
}

export interface StreamRules {
  /** @throws the reason of `kill` */
  readonly open: (kill: AbortSignal, purpose: OpenPurpose) => Promise<Wire | Fault>;
  readonly where: string;
  /** One of ten steps towards confirmation, milliseconds: written and no close for ten of them is accepted. */
  readonly stepMs: number;
  /** How long a half-closed peer may take for its own close, milliseconds. */
  readonly closeWaitMs: number;
  /** Most bytes and batches written and not confirmed. */
  readonly maxUnconfirmedBytes: number;
  readonly maxUnconfirmedBatches: number;
  /** How long the other side's TCP may acknowledge nothing of what it owes, milliseconds. */
  readonly timeoutMs: number;
}

export const streamDefaults = {
  stepMs: 1_000,
  closeWaitMs: 3_000,
  maxUnconfirmedBytes: 2 * 1024 ** 2,
  maxUnconfirmedBatches: 256,
} as const;
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
  #wire: Wire | undefined;
  #unconfirmed: Unconfirmed[] = [];
  /** Answered for by a close, which only the next connection proves to be that of a collector that goes on. */
  #answered: Unconfirmed[] = [];
  #bytes = 0;
  #step = 0;
  #ticker: NodeJS.Timeout | undefined;
  #ticking = false;
  #acknowledged = 0;
  #stalledSteps = 0;
  readonly #halfCloses = new HalfCloses(steps);
  #endedWell = false;
  #turn: Promise<void> = Promise.resolve();
  /** Why the last connection could not be made; '' where it could. */
  openFault = '';

  constructor(rules: StreamRules) {
    this.#rules = rules;
  }

  /** Writes the frames of one batch. @throws the reason of `kill` */
  send(frames: Buffer, kill: AbortSignal): Promise<Verdict | Sent> {
    return this.#inTurn(async () => {
      kill.throwIfAborted();
      const drop = () => this.#wire?.destroy();
      kill.addEventListener('abort', drop);
      try {
        if (!this.#hasRoom(frames.length)) await this.#makeRoom(frames.length, kill);
        const wire = await this.#open(kill);
        if (!(wire instanceof Wire)) return wire.verdict;
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
    return this.#inTurn(async () => {
      if (this.#unconfirmed.length + this.#answered.length > 0) await this.#rotate(kill);
    });
  }

  /** What is unconfirmed is handed back. */
  async dispose(): Promise<void> {
    this.#settleAnswered(this.#closed());
    if (this.#unconfirmed.length > 0) this.#wire?.destroy();
    else await this.#wire?.closeGently(farewellMs);
  }

  /** One after the other: nothing may be written between the last look at what is acknowledged and our FIN. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }

  async #open(kill: AbortSignal): Promise<Wire | Fault> {
    if (this.#wire !== undefined) return this.#wire;
    let verdict: Verdict = this.#closed();
    try {
      const opened = await this.#rules.open(kill, {
        doubtful: !this.#endedWell,
        proves: this.#answered.length > 0,
      });
      this.openFault = opened instanceof Wire ? '' : opened.code;
      if (!(opened instanceof Wire)) {
        verdict = opened.verdict;
        return opened;
      }
      this.#wire = opened;
      this.#acknowledged = 0;
      this.#stalledSteps = 0;
      opened.whenOver(() => this.#over(opened));
      verdict = opened.fault?.verdict ?? accepted;
      return opened;
    } finally {
      this.#settleAnswered(verdict);
    }
  }

  #settleAnswered(verdict: Verdict): void {
    for (const batch of this.#answered.splice(0)) batch.settle(verdict);
  }

  #closed(): Verdict {
    return retryFault('network', `${this.#rules.where}: we closed the connection`).verdict;
  }

  #over(wire: Wire): void {
    this.#endedWell = wire.fault === undefined;
    this.#wire = undefined;
    this.#stopTicking();
    const outstanding = this.#unconfirmed;
    this.#unconfirmed = [];
    this.#bytes = 0;
    if (wire.fault === undefined) this.#answered.push(...outstanding);
    for (const batch of outstanding)
      if (wire.fault === undefined) batch.answer();
      else batch.settle(wire.fault.verdict);
  }

  #confirmed(bytes: number, wire: Wire, kill: AbortSignal): Promise<Verdict> {
    const written = { bytes, atStep: this.#step, end: wire.bytesWritten };
    const batch = new Unconfirmed(written, kill, () => this.#wire?.destroy());
    this.#unconfirmed.push(batch);
    this.#bytes += bytes;
    // Timers run before the sockets are polled: a close that has already arrived is to be seen before the step counts.
    this.#ticker ??= setInterval(() => setImmediate(() => void this.#tick()), this.#rules.stepMs);
    return batch.verdict;
  }

  async #tick(): Promise<void> {
    const wire = this.#wire;
    if (wire === undefined || this.#ticking) return;
    this.#step++;
    if (this.#step - (this.#unconfirmed[0]?.atStep ?? this.#step) <= steps) return;
    this.#ticking = true;
    const acknowledged = (await wire.acknowledgedBytes()) ?? Number.POSITIVE_INFINITY;
    this.#ticking = false;
    if (wire.isOver) return;
    for (let oldest = this.#unconfirmed[0]; oldest !== undefined; oldest = this.#unconfirmed[0]) {
      if (this.#step - oldest.atStep <= steps || oldest.end > acknowledged) break;
      this.#unconfirmed.shift();
      this.#bytes -= oldest.bytes;
      oldest.settle(accepted);
      this.#halfCloses.confirmedByTime(this.#step);
    }
    this.#watch(wire, acknowledged);
  }

  /** A peer that is gone without a word acknowledges nothing; one that is slow still moves. */
  #watch(wire: Wire, acknowledged: number): void {
    const oldest = this.#unconfirmed[0];
    if (oldest === undefined) {
      this.#stopTicking();
      if (wire.isHalfClosed) wire.destroy();
      return;
    }
    const stalled = acknowledged < oldest.end && acknowledged <= this.#acknowledged;
    this.#acknowledged = acknowledged;
    this.#stalledSteps = stalled ? this.#stalledSteps + 1 : 0;
    const { stepMs, timeoutMs, where } = this.#rules;
    if (this.#stalledSteps * stepMs > timeoutMs)
      wire.destroy(retryFault('timeout', `${where}: acknowledged nothing for ${timeoutMs} ms`));
  }

  #stopTicking(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #hasRoom(bytes: number): boolean {
    const { maxUnconfirmedBytes, maxUnconfirmedBatches } = this.#rules;
    if (this.#unconfirmed.length === 0) return true;
    return this.#bytes + bytes <= maxUnconfirmedBytes && this.#unconfirmed.length < maxUnconfirmedBatches;
  }

  /** Waits until `bytes` more fit. */
  async #makeRoom(bytes: number, kill: AbortSignal): Promise<void> {
    if (this.#halfCloses.mayTry) await this.#rotate(kill);
    else await this.#settled(() => this.#hasRoom(bytes), kill);
  }

  /** Gets everything confirmed: at once by a half-close, or with time. */
  async #rotate(kill: AbortSignal): Promise<void> {
    const wire = this.#wire;
    const halfClosing = this.#halfCloses.mayTry;
    if (halfClosing && wire !== undefined) await unless(kill, wire.halfClose(this.#rules.closeWaitMs));
    await this.#settled(() => false, kill);
    const proven = this.#answered.length === 0 || (await this.#open(kill)) instanceof Wire;
    // One lost before our FIN went out says nothing of how its peer answers that.
    if (!halfClosing || !wire?.isHalfClosed) return;
    this.#halfCloses.ended({ answered: wire.fault === undefined, proven }, this.#step);
  }

  /** Waits until `enough`, or until everything is settled. @throws the reason of `kill` */
  async #settled(enough: () => boolean, kill: AbortSignal): Promise<void> {
    for (let oldest = this.#unconfirmed[0]; oldest !== undefined; oldest = this.#unconfirmed[0]) {
      if (enough() || kill.aborted) break;
      await unless(kill, oldest.dealtWith);
    }
    kill.throwIfAborted();
  }
}
