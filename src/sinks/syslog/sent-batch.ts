import type { Verdict } from '../../lib/verdict.ts';

interface Written {
  readonly bytes: number;
  readonly atStep: number;
  /** Where it ends in the bytes of its connection. */
  readonly end: number;
}

/** A batch that was written, until its verdict is known. */
export class SentBatch {
  readonly bytes: number;
  readonly atStep: number;
  readonly end: number;
  /** @throws the reason of `kill`, when that comes first */
  readonly verdict: Promise<Verdict>;
  /** Resolves with the verdict, or once it hangs on the next connection alone. Never rejects. */
  readonly dealtWith: Promise<void>;
  readonly #resolve: (verdict: Verdict) => void;
  readonly #deal: () => void;

  constructor({ bytes, atStep, end }: Written, kill: AbortSignal, onKill: () => void) {
    this.bytes = bytes;
    this.atStep = atStep;
    this.end = end;
    const verdict = Promise.withResolvers<Verdict>();
    const dealt = Promise.withResolvers<void>();
    const killed = () => {
      verdict.reject(kill.reason);
      dealt.resolve();
      onKill();
    };
    kill.addEventListener('abort', killed);
    this.verdict = verdict.promise;
    // Whoever stopped waiting for it is not to be told of a failure.
    this.verdict.catch(() => {});
    this.dealtWith = dealt.promise;
    this.#resolve = (given) => {
      kill.removeEventListener('abort', killed);
      verdict.resolve(given);
      dealt.resolve();
    };
    this.#deal = dealt.resolve;
  }

  settle(verdict: Verdict): void {
    this.#resolve(verdict);
  }

  /** Only the next connection is still to tell. */
  answer(): void {
    this.#deal();
  }
}
