import { untilAborted } from '../../lib/shutdown.ts';
import { accepted, type Retry, type Stop, type Verdict } from '../../lib/verdict.ts';

/** A batch that was written to a connection, until its verdict is known. */
export class SentBatch {
  readonly bytes: number;
  /** The step at which it was written. */
  readonly atStep: number;
  /** Where it ends in the bytes of its connection. */
  readonly end: number;
  /** @throws the reason of the signal, if that comes first */
  readonly verdict: Promise<Verdict>;
  /** Resolves with the verdict, or once only the proof of an answered half-close is missing. Never rejects. */
  readonly answered: Promise<void>;
  readonly #settle: (verdict: Verdict) => void;
  readonly #answer: () => void;

  constructor(
    written: { readonly bytes: number; readonly atStep: number; readonly end: number },
    signal: AbortSignal,
    onAbort: () => void,
  ) {
    this.bytes = written.bytes;
    this.atStep = written.atStep;
    this.end = written.end;
    const verdict = Promise.withResolvers<Verdict>();
    const answered = Promise.withResolvers<void>();
    const abort = () => {
      verdict.reject(signal.reason);
      answered.resolve();
      onAbort();
    };
    signal.addEventListener('abort', abort);
    this.verdict = verdict.promise;
    // The caller may have stopped waiting: a rejection without a listener would end the process.
    this.verdict.catch(() => {});
    this.answered = answered.promise;
    this.#answer = answered.resolve;
    this.#settle = (given) => {
      signal.removeEventListener('abort', abort);
      verdict.resolve(given);
      answered.resolve();
    };
  }

  settle(verdict: Verdict): void {
    this.#settle(verdict);
  }
  /** The collector's close has answered for it; only the next connection can still say otherwise. */
  answer(): void {
    this.#answer();
  }
}

/**
 * The batches of a stream that have no verdict yet, oldest first. `unconfirmed`: written; time or a close decides.
 * `answered`: the collector's close answered our half-close; the next connection decides.
 */
export class SentBatches {
  #unconfirmed: SentBatch[] = [];
  #answered: SentBatch[] = [];
  #bytes = 0;
  #returns = 0;
  #lastReturn: Retry | Stop | undefined;

  /** Unconfirmed batches. */
  get count(): number {
    return this.#unconfirmed.length;
  }
  get oldest(): SentBatch | undefined {
    return this.#unconfirmed[0];
  }
  /** Bytes of the unconfirmed batches. */
  get bytes(): number {
    return this.#bytes;
  }
  get awaitsProof(): boolean {
    return this.#answered.length > 0;
  }
  /** How often batches were handed back. */
  get returns(): number {
    return this.#returns;
  }
  /** Why batches were handed back since `returns` was read; undefined if none were. */
  returnedSince(returns: number): Retry | Stop | undefined {
    return this.#returns === returns ? undefined : this.#lastReturn;
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

  /** Unconfirmed → answered. */
  answer(): void {
    for (const batch of this.#takeUnconfirmed()) {
      this.#answered.push(batch);
      batch.answer();
    }
  }

  /** Answered → accepted. */
  prove(): void {
    for (const batch of this.#answered.splice(0)) batch.settle(accepted);
  }

  /** Answered → handed back. */
  doubt(verdict: Retry | Stop): void {
    this.#return(this.#answered.splice(0), verdict);
  }

  /** Unconfirmed → handed back. */
  handBack(verdict: Retry | Stop): void {
    this.#return(this.#takeUnconfirmed(), verdict);
  }

  /** Resolves once nothing awaits a proof. @throws the reason of `signal` */
  async proven(signal: AbortSignal): Promise<void> {
    await untilAborted(signal, Promise.allSettled(this.#answered.map(({ verdict }) => verdict)));
    signal.throwIfAborted();
  }

  /** Resolves once `enough`, or nothing is unconfirmed. @throws the reason of `signal` */
  async settled(enough: () => boolean, signal: AbortSignal): Promise<void> {
    for (let { oldest } = this; oldest !== undefined; { oldest } = this) {
      if (enough() || signal.aborted) break;
      await untilAborted(signal, oldest.answered);
    }
    signal.throwIfAborted();
  }

  #takeUnconfirmed(): readonly SentBatch[] {
    const batches = this.#unconfirmed;
    this.#unconfirmed = [];
    this.#bytes = 0;
    return batches;
  }

  #return(batches: readonly SentBatch[], verdict: Retry | Stop): void {
    if (batches.length === 0) return;
    this.#returns++;
    this.#lastReturn = verdict;
    for (const batch of batches) batch.settle(verdict);
  }
}
