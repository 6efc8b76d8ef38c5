import type { Cursor } from '../../event/event.ts';
import type { IdRange } from '../../event/id-ranges.ts';
import { type Backoff, backoffMs } from '../../lib/backoff.ts';
import type { Retry } from '../../lib/verdict.ts';

const hourMs = 3_600_000;
/** How soon to ask again whether something may be sent while the probe batch waits for its acknowledgement. */
const pendingMs = 15_000;
const maxFailures = 256;

const causes =
  'the acknowledgement path is broken: a load balancer without sticky sessions, Splunk Cloud (which acknowledges nothing over HEC), or replication that does not complete';

interface Open {
  /** First id of the probe batch: the last batch that was sent, or the one that opened the breaker. */
  probe: Cursor;
  /** How often the probe batch stayed unacknowledged. */
  readonly failures: number;
  readonly why: string;
  /** No probe is sent before, on the monotonic clock. */
  readonly nextAtMs: number;
}

/**
 * Decides whether acknowledgements can be relied on. A batch that stays unacknowledged has to be sent again, and comes
 * twice if it was indexed all the same: on a path that never acknowledges, every batch would be doubled for ever.
 *
 * - closed: batches flow. One that stays unacknowledged is sent again at once, the first time.
 * - open, as soon as a batch stays unacknowledged for the second time: one batch at a time, the probe batch, is sent and
 *   has to be acknowledged before anything else. If it is not, the next probe waits twice as long as the last one, from
 *   `ackTimeout` up to an hour. Any batch may be the probe.
 * - closed again with the acknowledgement of the probe batch, or with `reset`: delivery has another proof.
 *
 * Whether a probe is on its way is not stored here, where a forgotten transition would block delivery for good: the caller
 * passes what is pending. The trade: in the open state, batches sent before it opened hold the probe back until they are
 * acknowledged or due, at most `ackTimeout`.
 */
export class AckCircuitBreaker {
  readonly #backoff: Pick<Backoff, 'firstMs' | 'longestMs'>;
  readonly #elapsed: () => number;
  /** How often a batch that starts with this id stayed unacknowledged. */
  readonly #failures = new Map<Cursor, number>();
  #open: Open | undefined;

  /** `elapsed`: milliseconds on a monotonic clock. */
  constructor(ackTimeoutMs: number, elapsed: () => number) {
    this.#backoff = { firstMs: ackTimeoutMs, longestMs: Math.max(hourMs, ackTimeoutMs) };
    this.#elapsed = elapsed;
  }

  /** The verdict on a batch that stayed unacknowledged because of `why`. */
  onTimeout(ranges: readonly IdRange[], why: string): Retry {
    const probe = ranges[0]?.[0] ?? 0n;
    const failures = this.#countFailure(ranges, probe);
    const open = this.#open;
    if (open === undefined && failures === 1)
      return { kind: 'retry', reason: 'timeout', detail: `${why}; sent again, so it may come twice` };
    if (open === undefined || covers(ranges, open.probe)) {
      const times = open === undefined ? failures : open.failures + 1;
      const waitMs = backoffMs(this.#backoff, times - 1, () => 1);
      this.#open = { probe, failures: times, why, nextAtMs: this.#elapsed() + waitMs };
    }
    return this.#blocked(this.#open as Open, false);
  }

  /** The batch was sent. */
  onSent(ranges: readonly IdRange[]): void {
    if (this.#open !== undefined) this.#open.probe = ranges[0]?.[0] ?? 0n;
  }

  onAcked(ranges: readonly IdRange[]): void {
    for (const id of this.#failures.keys()) if (covers(ranges, id)) this.#failures.delete(id);
    if (this.#open !== undefined && covers(ranges, this.#open.probe)) this.#open = undefined;
  }

  /** Delivery no longer depends on acknowledgements. */
  reset(): void {
    this.#failures.clear();
    this.#open = undefined;
  }

  /** Why nothing may be sent now, or undefined. `isPending`: a batch of this process waits for its acknowledgement. */
  blockedBy(isPending: boolean): Retry | undefined {
    const open = this.#open;
    if (open === undefined || (!isPending && this.#elapsed() >= open.nextAtMs)) return undefined;
    return this.#blocked(open, isPending);
  }

  #countFailure(ranges: readonly IdRange[], first: Cursor): number {
    let failures = 1;
    // Batches are cut differently when they are sent again.
    for (const [id, count] of this.#failures) {
      if (!covers(ranges, id)) continue;
      failures = Math.max(failures, count + 1);
      this.#failures.delete(id);
    }
    this.#failures.set(first, failures);
    for (const id of this.#failures.keys()) if (this.#failures.size > maxFailures) this.#failures.delete(id);
    return failures;
  }

  #blocked({ probe, failures, why, nextAtMs }: Open, isPending: boolean): Retry {
    const afterMs = isPending ? pendingMs : Math.max(1, Math.ceil(nextAtMs - this.#elapsed()));
    const plan = isPending
      ? `nothing new is sent until the batch from id ${probe} is acknowledged`
      : `nothing new is sent; one batch is sent as a test in ${durationText(afterMs)}`;
    return { kind: 'retry', reason: 'timeout', detail: `${why}, ${failures} times: ${causes}; ${plan}`, afterMs };
  }
}

function covers(ranges: readonly IdRange[], id: Cursor): boolean {
  return ranges.some(([from, to]) => from <= id && id <= to);
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)} ms`;
  if (ms < 120_000) return `${Math.ceil(ms / 1000)} s`;
  return `${Math.ceil(ms / 60_000)} min`;
}
