/** When a half-close is worth a try: not every collector answers one, and each that fails costs time or duplicates. */
export class HalfCloses {
  readonly #firstPause: number;
  #mayTry = true;
  #failures = 0;
  #fromStep = 0;

  /** @param firstPause steps from the first failure in a row to the next try; each further pause is twice as long */
  constructor(firstPause: number) {
    this.#firstPause = firstPause;
  }

  get mayTry(): boolean {
    return this.#mayTry;
  }

  /** The one tried at `step` ended: `answered` by the peer's close; `proven` where it took the next connection too. */
  ended(outcome: { readonly answered: boolean; readonly proven: boolean }, step: number): void {
    const { answered, proven } = outcome;
    this.#failures = answered && proven ? 0 : this.#failures + 1;
    this.#fromStep = step + this.#firstPause * 2 ** Math.min(this.#failures - 1, mostDoublings);
    // A restart may fall on any half-close: after an answer the next is tried at once, not the one after that.
    this.#mayTry = answered && this.#failures <= 1;
  }

  /** Something was confirmed by time at `step`. */
  confirmedByTime(step: number): void {
    this.#mayTry ||= step >= this.#fromStep;
  }
}

/** From ten steps of a second to some three hours. */
const mostDoublings = 10;
