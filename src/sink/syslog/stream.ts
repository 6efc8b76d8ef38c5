import { unless } from '../../core/life.ts';
import { accepted, type Verdict } from '../../core/verdict.ts';
import type { Sent } from '../sink.ts';
import type { Fault } from './faults.ts';
import { Wire } from './wire.ts';

export interface StreamRules {
  readonly open: (kill: AbortSignal) => Promise<Wire | Fault>;
  /** One of ten steps towards confirmation, milliseconds: written and no close for ten of them is accepted. */
  readonly stepMs: number;
  /** How long a half-closed peer may take for its own close, milliseconds. */
  readonly closeWaitMs: number;
  /** Most bytes written and not confirmed. */
  readonly maxUnconfirmedBytes: number;
}

export const streamDefaults = { stepMs: 1_000, closeWaitMs: 3_000, maxUnconfirmedBytes: 8 * 1024 ** 2 } as const;
const steps = 10;

interface Unconfirmed {
  readonly bytes: number;
  readonly writtenAtStep: number;
  settle(verdict: Verdict): void;
  readonly settled: Promise<void>;
}

/**
 * Delivery without acknowledgement: what was written counts as accepted after ten steps without a close, or when a
 * half-close is answered by the peer's. A close nobody asked for hands every unconfirmed batch back for a retry. When
 * the unconfirmed bytes reach their bound the connection is rotated: half-closed, which confirms them all, and replaced.
 */
export class StreamDelivery {
  readonly #rules: StreamRules;
  #wire: Wire | undefined;
  #unconfirmed: Unconfirmed[] = [];
  #bytes = 0;
  #step = 0;
  #ticker: NodeJS.Timeout | undefined;
  #peerAnswersHalfClose = true;
  /** Why the last connection could not be made; '' where it could. */
  openFault = '';

  constructor(rules: StreamRules) {
    this.#rules = rules;
  }

  /** Writes the frames of one batch. @throws the reason of `kill` */
  async send(frames: Buffer, kill: AbortSignal): Promise<Verdict | Sent> {
    kill.throwIfAborted();
    const drop = () => this.#wire?.destroy();
    kill.addEventListener('abort', drop);
    try {
      if (this.#bytes > 0 && this.#bytes + frames.length > this.#rules.maxUnconfirmedBytes)
        await this.#makeRoom(frames.length, kill);
      const wire = await this.#open(kill);
      if (!(wire instanceof Wire)) return wire.verdict;
      const fault = await wire.write(frames);
      kill.throwIfAborted();
      return fault === undefined ? { kind: 'sent', confirmed: this.#await(frames.length, kill) } : fault.verdict;
    } finally {
      kill.removeEventListener('abort', drop);
    }
  }

  /** Half-closes and waits until everything is confirmed or handed back. @throws the reason of `kill` */
  async finish(kill: AbortSignal): Promise<void> {
    if (this.#unconfirmed.length === 0) return;
    await this.#wire?.halfClose(this.#rules.closeWaitMs);
    await this.#settled(0, kill);
  }

  dispose(): void {
    this.#wire?.destroy();
  }

  async #open(kill: AbortSignal): Promise<Wire | Fault> {
    if (this.#wire !== undefined) return this.#wire;
    const opened = await this.#rules.open(kill);
    this.openFault = opened instanceof Wire ? '' : opened.code;
    if (opened instanceof Wire) {
      this.#wire = opened;
      opened.whenOver(() => this.#over(opened));
    }
    return opened;
  }

  #over(wire: Wire): void {
    this.#wire = undefined;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    const outstanding = this.#unconfirmed;
    this.#unconfirmed = [];
    this.#bytes = 0;
    for (const batch of outstanding) batch.settle(wire.fault?.verdict ?? accepted);
  }

  #await(bytes: number, kill: AbortSignal): Promise<Verdict> {
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
    const killed = () => {
      reject(kill.reason);
      this.#wire?.destroy();
    };
    kill.addEventListener('abort', killed);
    const settle = (verdict: Verdict) => {
      kill.removeEventListener('abort', killed);
      resolve(verdict);
    };
    const settled = promise.then(
      () => {},
      () => {},
    );
    this.#unconfirmed.push({ bytes, writtenAtStep: this.#step, settle, settled });
    this.#bytes += bytes;
    this.#ticker ??= setInterval(() => {
      // A close that has already arrived is seen before the step counts: timers run before the sockets are polled.
      setImmediate(() => this.#tick());
    }, this.#rules.stepMs);
    return promise;
  }

  #tick(): void {
    this.#step++;
    let oldest = this.#unconfirmed[0];
    while (oldest !== undefined && this.#step - oldest.writtenAtStep > steps) {
      this.#unconfirmed.shift();
      this.#bytes -= oldest.bytes;
      oldest.settle(accepted);
      oldest = this.#unconfirmed[0];
    }
    if (oldest !== undefined) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    if (this.#wire?.isHalfClosed) this.#wire.destroy();
  }

  /** Waits until `bytes` more fit. */
  async #makeRoom(bytes: number, kill: AbortSignal): Promise<void> {
    const wire = this.#wire;
    if (this.#peerAnswersHalfClose && wire !== undefined) {
      await wire.halfClose(this.#rules.closeWaitMs);
      await this.#settled(0, kill);
      // One that never closes makes us wait for ten steps: next time on the open connection, that can go on meanwhile.
      this.#peerAnswersHalfClose = wire.fault === undefined;
    } else await this.#settled(Math.max(0, this.#rules.maxUnconfirmedBytes - bytes), kill);
  }

  /** Waits until at most `bytes` are unconfirmed. @throws the reason of `kill` */
  async #settled(bytes: number, kill: AbortSignal): Promise<void> {
    let oldest = this.#unconfirmed[0];
    while (oldest !== undefined && this.#bytes > bytes && !kill.aborted) {
      await unless(kill, oldest.settled);
      oldest = this.#unconfirmed[0];
    }
    kill.throwIfAborted();
  }
}
