/** When a half-close is worth a try: not every collector answers one, and each that fails costs time or duplicates. */
export class HalfCloses {
  readonly #firstPause: number;
  #mayTry = true;
  #failures = 0;
  #successes = 0;
  #fromStep = 0;
  #lost = 0;

  /** @param firstPause steps from the first failure to the next try; each further pause is twice as long */
  constructor(firstPause: number) {
    this.#firstPause = firstPause;
  }

  get mayTry(): boolean {
    return this.#mayTry;
  }

  /** Whether to try one soon: connections are lost before time can confirm what they carry. */
  get hasten(): boolean {
    return this.#mayTry && this.#lost >= lossesToHasten;
  }

  /** A connection was lost with batches that were not confirmed. */
  lost(): void {
    this.#lost++;
  }

  /** The one tried at `step` ended: `answered` by the peer's close; `proven` where it took the next connection too. */
  ended(outcome: { readonly answered: boolean; readonly proven: boolean }, step: number): void {
    const { answered, proven } = outcome;
    if (answered && proven) {
      if (++this.#successes >= enoughSuccesses) this.#failures = 0;
      return;
    }
    this.#successes = 0;
    this.#failures++;
    this.#fromStep = step + this.#firstPause * 2 ** Math.min(this.#failures - 1, mostDoublings);
    // A restart may fall on any half-close: after an answer the next is tried at once, not the one after that.
    this.#mayTry = answered && this.#failures === 1;
  }

  /** Something was confirmed by time at `step`. */
  confirmedByTime(step: number): void {
    this.#lost = 0;
    this.#mayTry ||= step >= this.#fromStep;
  }
}

/** From ten steps of a second to some three hours. */
const mostDoublings = 10;
/** In a row, until failures are forgotten: a collector that refuses every third connection fails for ever, not in a row. */
const enoughSuccesses = 10;
/** A restart is one; a collector that closes whatever is silent for some seconds does so each time. */
const lossesToHasten = 2;
