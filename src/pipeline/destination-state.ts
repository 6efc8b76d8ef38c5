import { backoffMs } from '../lib/backoff.ts';
import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

const retryBackoff = { firstMs: 1000, longestMs: 60_000 };
/** How often a parked sink is tried, milliseconds. */
const parkMs = 60_000;
/** After so many losses in a row, without a confirmation between them, batches are sent one by one. */
const maxLosses = 2;

interface DestinationOptions {
  readonly sink: string;
  readonly emit: Emit;
  readonly random: () => number;
}

interface Outage {
  readonly sinceMs: number;
  /** Number of the last sending when it last failed. */
  lastSend: number;
  retries: number;
  /** One printable line. */
  detail: string;
}

/**
 * What the destination's answers mean for the next attempt: when it may start, and how much it may send.
 *
 * Outage: *none* → *failing* (a retry verdict; attempts with backoff) or *parked* (a stop verdict; an attempt every minute)
 * → none. An outage ends only with the answer to something that was sent after the outage began: an acknowledgement of an
 * older batch says nothing about it.
 *
 * Pace: *full* (the sink's own window and limits) → *reduced*: one batch at a time after two losses in a row with nothing
 * confirmed between them, batches of half the size for each further loss and for each verdict that asks for it. Each
 * confirmed batch doubles both until they are full again. This costs throughput after a loss, but a collector that fails
 * after every so many messages makes progress, and repeats are bounded.
 */
export class DestinationState {
  readonly #options: DestinationOptions;
  /** Sendings so far; the number of the last one. */
  #sends = 0;
  #resumeAtMs = 0;
  /** Attempts in a row that the destination did not take. */
  #attempts = 0;
  /** Losses after sending, in a row. Batches that are lost together count as one. */
  #losses = 0;
  #lostUpTo = 0;
  #window = Number.POSITIVE_INFINITY;
  #maxRecords = Number.POSITIVE_INFINITY;
  #outage: Outage | undefined;
  #parked: Stop | undefined;

  constructor(options: DestinationOptions) {
    this.#options = options;
  }

  /** What is wrong, one printable line; undefined if nothing is. */
  get lastError(): string | undefined {
    return this.#outage?.detail;
  }
  get parked(): Stop | undefined {
    return this.#parked;
  }
  /** Nothing may be sent before, monotonic milliseconds. */
  get resumeAtMs(): number {
    return this.#resumeAtMs;
  }
  /** Most records in the next batch. */
  get maxRecords(): number {
    return this.#maxRecords;
  }
  /** Each batch is to be confirmed before the next is sent. */
  get isOneByOne(): boolean {
    return this.#window === 1;
  }

  /** Batches that may be sent and unconfirmed at once. */
  window(sinkWindow: number): number {
    return Math.min(sinkWindow, this.#window);
  }

  /** A batch is about to be sent; returns the number of this sending. */
  attempt(): number {
    this.#sends += 1;
    return this.#sends;
  }

  /** It was sent; its confirmation comes later. */
  sent(): void {
    this.#attempts = 0;
  }

  /** It was not taken. */
  failed(verdict: Retry, records: number): void {
    this.#attempts += 1;
    // Fewer records are another attempt: it does not wait as long as one more of the same kind.
    const isNarrowed = verdict.narrow === true && this.#narrow(records);
    this.#retry(verdict, this.#attempts, this.#backoffMs(isNarrowed ? 1 : this.#attempts));
  }

  /** It was sent as number `send` and not confirmed. */
  lost(send: number, verdict: Retry, records: number): void {
    const isNarrowed = verdict.narrow === true && this.#narrow(records);
    this.#waitAtLeast(verdict.afterMs ?? 0);
    if (send <= this.#lostUpTo) return;
    this.#lostUpTo = this.#sends;
    this.#losses += 1;
    if (this.#losses >= maxLosses || this.#window !== Number.POSITIVE_INFINITY) {
      if (this.isOneByOne && !isNarrowed) this.#narrow(records);
      this.#window = 1;
    }
    // The first loss is repeated at once: the destination may only have restarted.
    const waitMs = this.#losses === 1 ? 0 : this.#backoffMs(this.#losses - 1);
    this.#retry(verdict, this.#losses, waitMs);
  }

  /** Nothing is sent until a person acts; tried every minute. */
  park(verdict: Stop): void {
    const { reason, detail } = verdict;
    this.#begin(detail);
    this.#parked = verdict;
    this.#resumeAtMs = performance.now() + parkMs;
    this.#options.emit({ event: 'pipeline.parked', sink: this.#options.sink, reason, detail });
  }

  /** Part of a batch is confirmed, although the rest failed. */
  progressed(): void {
    this.#attempts = 0;
    this.#losses = 0;
  }

  /** The whole batch sent as number `send` is confirmed. */
  accepted(send: number, { window, maxRecords }: { readonly window: number; readonly maxRecords: number }): void {
    this.progressed();
    this.#window = this.#window * 2 >= window ? Number.POSITIVE_INFINITY : this.#window * 2;
    this.#maxRecords = this.#maxRecords * 2 >= maxRecords ? Number.POSITIVE_INFINITY : this.#maxRecords * 2;
    this.answered(send);
  }

  /** The destination judged the content of what was sent as number `send`: there is no outage since then. */
  answered(send: number): void {
    if (this.#outage === undefined || send <= this.#outage.lastSend) return;
    const { sinceMs, retries: attempts } = this.#outage;
    const { emit, sink } = this.#options;
    const outageMs = Math.round(performance.now() - sinceMs);
    if (this.#parked !== undefined) emit({ event: 'pipeline.unparked', sink, outageMs });
    else emit({ event: 'pipeline.recovered', sink, attempts, outageMs });
    this.#outage = undefined;
    this.#parked = undefined;
  }

  /** A person asks for an attempt now. */
  retryNow(): void {
    this.#resumeAtMs = 0;
  }

  #backoffMs(attempt: number): number {
    return Math.max(1, backoffMs(retryBackoff, attempt, this.#options.random));
  }

  /** Whether the next attempt carries less. */
  #narrow(records: number): boolean {
    if (records <= 1) return false;
    this.#maxRecords = Math.min(this.#maxRecords, records >> 1);
    return true;
  }

  #retry(verdict: Retry, attempt: number, backoffWaitMs: number): void {
    const { reason, detail } = verdict;
    const waitMs = Math.max(backoffWaitMs, verdict.afterMs ?? 0);
    this.#begin(detail).retries += 1;
    this.#waitAtLeast(waitMs);
    this.#options.emit({ event: 'pipeline.retry', sink: this.#options.sink, reason, detail, attempt, waitMs });
  }

  #waitAtLeast(waitMs: number): void {
    if (waitMs > 0) this.#resumeAtMs = Math.max(this.#resumeAtMs, performance.now() + waitMs);
  }

  #begin(detail: string): Outage {
    this.#outage ??= { sinceMs: performance.now(), lastSend: 0, retries: 0, detail };
    this.#outage.lastSend = this.#sends;
    this.#outage.detail = detail;
    return this.#outage;
  }
}
