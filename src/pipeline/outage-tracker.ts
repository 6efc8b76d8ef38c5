import type { Retry, Stop } from '../lib/verdict.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';

/**
 * What stands in a lane's way: told when it begins, each time it shows again, and when it is over. Modes: none →
 * failing (asked again) or parked (until a person acts) → none.
 */
export class Trouble {
  readonly #sink: string;
  readonly #observe: Observe;
  #sinceMs: number | undefined;
  #attempts = 0;
  #parked: Stop | undefined;
  #detail: string | undefined;

  constructor(sink: string, observe: Observe) {
    this.#sink = sink;
    this.#observe = observe;
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
    this.#observe({ event: 'route.retry', sink: this.#sink, reason, detail, attempt, waitMs });
  }

  parks(verdict: Stop): void {
    this.#begin(verdict.detail);
    this.#parked = verdict;
    const { reason, detail } = verdict;
    this.#observe({ event: 'route.parked', sink: this.#sink, reason, detail });
  }

  /** The sink has answered as it should. */
  ends(): void {
    if (this.#sinceMs === undefined) return;
    const outageMs = Math.round(performance.now() - this.#sinceMs);
    const sink = this.#sink;
    if (this.#parked !== undefined) this.#observe({ event: 'route.unparked', sink, outageMs });
    else this.#observe({ event: 'route.recovered', sink, attempts: this.#attempts, outageMs });
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
