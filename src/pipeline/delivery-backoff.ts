import { type Backoff, backoffMs } from '../lib/backoff.ts';

/** Losses after sending, in a row, and how long to wait for the next try. Batches that are lost together count as one. */
export class DeliveryBackoff {
  readonly #backoff: Backoff;
  #count = 0;
  #waitMs = 0;
  #lastSend = 0;

  constructor(backoff: Backoff) {
    this.#backoff = backoff;
  }

  get count(): number {
    return this.#count;
  }
  /** Milliseconds. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** Sending number `send` was lost, `lastSend` being the newest so far; true for the first of those lost together. */
  recordLoss(send: number, lastSend: number): boolean {
    if (send <= this.#lastSend) return false;
    this.#lastSend = lastSend;
    this.#count += 1;
    // The first loss is made good at once: the far side may only have restarted.
    this.#waitMs = this.#count === 1 ? 0 : backoffMs(this.#backoff, this.#count - 1, this.#backoff.random);
    return true;
  }

  /** Something got through. */
  reset(): void {
    this.#count = 0;
    this.#waitMs = 0;
  }
}
