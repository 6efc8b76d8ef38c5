/** From ten steps of a second to some three hours. */
const maxDoublings = 10;
/** In a row, until failures are forgotten: a collector that refuses every third connection fails forever, but not in a row. */
const successesToForget = 10;
/** One loss is a restart; a collector that closes whatever is silent for some seconds does so each time. */
const lossesToAct = 2;
/** Most batches to be confirmed before the window grows again. */
const maxPatience = 64;

/**
 * What a stream has learned about its collector: whether a half-close is worth a try, and how many batches may be
 * unconfirmed at once.
 *
 * Half-closes. Not every collector answers one, and each that fails costs time or duplicates. A failed one is followed by a
 * pause of `firstPause` steps, twice as long after each further failure; only time-confirmed batches show that the pause is
 * over. An answer that could not be proven may have been a restart: the next half-close is tried at once, once.
 *
 * Window. A collector that resets its connection after every N messages would get everything again and again, and nothing
 * would ever be confirmed. After two losses in a row with nothing confirmed between, one batch is unconfirmed at a time. Each
 * confirmation doubles the window; each further loss halves it and doubles the confirmations that the next growth takes.
 * If a single batch is lost too, it asks for smaller batches.
 */
export class StreamPolicy {
  readonly #firstPause: number;
  readonly #maxWindow: number;
  #mayHalfClose = true;
  #failures = 0;
  #successes = 0;
  #pauseEnd = 0;
  /** Connections lost with unconfirmed batches, since time confirmed a batch. */
  #lossesSinceTime = 0;
  /** The same, since anything confirmed a batch. */
  #lossesInRow = 0;
  #window: number;
  #patience = 1;
  #confirmed = 0;

  /** @param firstPause steps from the first failed half-close to the next try */
  constructor(firstPause: number, maxWindow = Number.POSITIVE_INFINITY) {
    this.#firstPause = firstPause;
    this.#maxWindow = maxWindow;
    this.#window = maxWindow;
  }

  get mayHalfClose(): boolean {
    return this.#mayHalfClose;
  }
  /** Whether to half-close soon: connections are lost before time can confirm what they carry. */
  get mustHurry(): boolean {
    return this.#mayHalfClose && this.#lossesSinceTime >= lossesToAct;
  }
  /** Most batches that may be unconfirmed. */
  get window(): number {
    return this.#window;
  }
  /** Connections were lost, and the window has not grown to its maximum again. */
  get isCautious(): boolean {
    return this.#window < this.#maxWindow;
  }
  /** Whether a batch that was lost alone should be repeated in smaller ones. */
  get mustNarrow(): boolean {
    return this.#lossesInRow > lossesToAct;
  }

  /** A connection was lost with unconfirmed batches. */
  lost(): void {
    this.#lossesSinceTime++;
    this.#lossesInRow++;
    this.#confirmed = 0;
    if (this.isCautious) this.#patience = Math.min(this.#patience * 2, maxPatience);
    if (this.#lossesInRow >= lossesToAct) this.#window = 1;
    else if (this.isCautious) this.#window = Math.max(1, Math.floor(this.#window / 2));
  }

  /** A batch was confirmed, by time or by a proven half-close. */
  confirmed(): void {
    this.#lossesInRow = 0;
    if (!this.isCautious || ++this.#confirmed < this.#patience) return;
    this.#confirmed = 0;
    this.#window = Math.min(this.#window * 2, this.#maxWindow);
    if (!this.isCautious) this.#patience = 1;
  }

  /** A batch was confirmed by time at `step`. */
  confirmedByTime(step: number): void {
    this.#lossesSinceTime = 0;
    this.#mayHalfClose ||= step >= this.#pauseEnd;
    this.confirmed();
  }

  /** A half-close ended at `step`: `answered` by the peer's close; `proven` if the peer accepted the next connection too. */
  halfCloseEnded({ answered, proven }: { readonly answered: boolean; readonly proven: boolean }, step: number): void {
    if (answered && proven) {
      if (++this.#successes >= successesToForget) this.#failures = 0;
      return;
    }
    this.#successes = 0;
    this.#failures++;
    this.#pauseEnd = step + this.#firstPause * 2 ** Math.min(this.#failures - 1, maxDoublings);
    this.#mayHalfClose = answered && this.#failures === 1;
  }
}
