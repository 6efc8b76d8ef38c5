import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/**
 * What stands in a lane's way: told when it begins, each time it shows again, and when it is over. Modes: none →
 * failing (asked again) or parked (until a person acts) → none.
 */
export class OutageTracker {
  readonly #sink: string;
  readonly #emit: Emit;
  #sinceMs: number | undefined;
  #attempts = 0;
  #parked: Stop | undefined;
  #detail: string | undefined;

  constructor(sink: string, emit: Emit) {
    this.#sink = sink;
    this.#emit = emit;
  }

  /** One printable line; undefined where all is well. */
  get detail(): string | undefined {
    return this.#detail;
  }
  get parked(): Stop | undefined {
    return this.#parked;
  }

  retries({ reason, detail }: Retry, attempt: number, waitMs: number): void {
    this.#begin(detail);
    this.#attempts += 1;
    this.#emit({ event: 'pipeline.retry', sink: this.#sink, reason, detail, attempt, waitMs });
  }

  parks(verdict: Stop): void {
    this.#begin(verdict.detail);
    this.#parked = verdict;
    const { reason, detail } = verdict;
    this.#emit({ event: 'pipeline.parked', sink: this.#sink, reason, detail });
  }

  /** The sink has answered as it should. */
  ends(): void {
    if (this.#sinceMs === undefined) return;
    const outageMs = Math.round(performance.now() - this.#sinceMs);
    const sink = this.#sink;
    if (this.#parked !== undefined) this.#emit({ event: 'pipeline.unparked', sink, outageMs });
    else this.#emit({ event: 'pipeline.recovered', sink, attempts: this.#attempts, outageMs });
    this.#sinceMs = undefined;
    this.#attempts = 0;
    this.#parked = undefined;
    this.#detail = undefined;
  }

  #begin(detail: string): void {
    this.#sinceMs ??= performance.now();
    this.#detail = detail;
  }
}
