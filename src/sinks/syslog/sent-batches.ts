import { untilAborted } from '../../lib/shutdown.ts';
import { accepted, type Retry, type Stop } from '../../lib/verdict.ts';
import type { SentBatch } from './sent-batch.ts';
import type { StreamRules } from './stream-rules.ts';

/** Why batches came back, and the how many-th time that was. */
export interface Returned {
  readonly count: number;
  readonly verdict: Retry | Stop | undefined;
}

/**
 * The batches of a stream that were written and have no verdict yet, oldest first. They wait for time or a close; what a
 * close has answered waits for the proof that the collector goes on.
 */
export class SentBatches {
  #unconfirmed: SentBatch[] = [];
  #answered: SentBatch[] = [];
  #bytes = 0;
  #returned: Returned = { count: 0, verdict: undefined };

  /** Batches that neither time nor a close has confirmed. */
  get count(): number {
    return this.#unconfirmed.length;
  }
  get oldest(): SentBatch | undefined {
    return this.#unconfirmed[0];
  }
  get awaitsProof(): boolean {
    return this.#answered.length > 0;
  }
  get returned(): Returned {
    return this.#returned;
  }

  /** Whether so many bytes more may be written; always where nothing is. */
  hasRoom(bytes: number, { maxUnconfirmedBytes, maxUnconfirmedBatches }: StreamRules): boolean {
    return this.count === 0 || (this.#bytes + bytes <= maxUnconfirmedBytes && this.count < maxUnconfirmedBatches);
  }

  push(batch: SentBatch): void {
    this.#unconfirmed.push(batch);
    this.#bytes += batch.bytes;
  }

  acceptOldest(): void {
    const batch = this.#unconfirmed.shift();
    if (batch === undefined) return;
    this.#bytes -= batch.bytes;
    batch.settle(accepted);
  }

  /** The peer's close has answered for all. */
  answer(): void {
    for (const batch of this.#take()) {
      this.#answered.push(batch);
      batch.answer();
    }
  }

  /** The collector goes on after its close. */
  prove(): void {
    for (const batch of this.#answered.splice(0)) batch.settle(accepted);
  }

  /** Hands back what the last close has answered. */
  doubt(verdict: Retry | Stop): void {
    this.#return(this.#answered.splice(0), verdict);
  }

  /** Hands back all that neither time nor a close has confirmed. */
  handBack(verdict: Retry | Stop): void {
    this.#return(this.#take(), verdict);
  }

  /** Resolves once nothing waits for a proof any more. @throws the reason of `kill` */
  async proven(kill: AbortSignal): Promise<void> {
    await untilAborted(kill, Promise.allSettled(this.#answered.map(({ verdict }) => verdict)));
    kill.throwIfAborted();
  }

  /** Resolves once `enough`, or nothing waits for time or a close. @throws the reason of `kill` */
  async settled(enough: () => boolean, kill: AbortSignal): Promise<void> {
    for (let { oldest } = this; oldest !== undefined; { oldest } = this) {
      if (enough() || kill.aborted) break;
      await untilAborted(kill, oldest.dealtWith);
    }
    kill.throwIfAborted();
  }

  #take(): readonly SentBatch[] {
    const batches = this.#unconfirmed;
    this.#unconfirmed = [];
    this.#bytes = 0;
    return batches;
  }

  #return(batches: readonly SentBatch[], verdict: Retry | Stop): void {
    if (batches.length === 0) return;
    this.#returned = { count: this.#returned.count + 1, verdict };
    for (const batch of batches) batch.settle(verdict);
  }
}
