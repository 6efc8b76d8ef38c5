import type { Batch, Cursor } from '../../core/event.ts';
import type { Verdict } from '../../core/verdict.ts';

/** Inclusive id ranges, ascending, without a hole inside a range. */
export type Ranges = readonly (readonly [Cursor, Cursor])[];

const hourMs = 3_600_000;
/** How often a batch that has to wait for the suspect asks whether it still must. */
const askAgainMs = 60_000;
/** A suspect that was not offered for so long after its time is not coming (the route reads and batches anew). */
const forsakenMs = 600_000;
const mostStrikes = 256;

interface Suspect {
  first: Cursor;
  strikes: number;
  nextAtMs: number;
  seenAtMs: number;
  why: string;
}

/**
 * Whether the acknowledgement path can be believed.
 *
 * - sound: a batch not acknowledged is sent again, once, at once;
 * - broken, as soon as one goes unacknowledged a second time: only that one, the suspect, is sent, with a wait that
 *   doubles from `ackTimeout` to an hour; everything else is held back, since sending it could only double it;
 * - sound again with the suspect's acknowledgement.
 */
export class Doubt {
  readonly #ackTimeoutMs: number;
  readonly #elapsed: () => number;
  readonly #strikes = new Map<Cursor, number>();
  #suspect: Suspect | undefined;

  /** `elapsed`: milliseconds on a clock that nobody sets. */
  constructor(ackTimeoutMs: number, elapsed: () => number) {
    this.#ackTimeoutMs = ackTimeoutMs;
    this.#elapsed = elapsed;
  }

  /** What a batch that stayed unacknowledged gets; `why` names the causes, for a person. */
  struck(ranges: Ranges, why: string): Verdict {
    const first = ranges[0]?.[0] ?? 0n;
    let strikes = 1;
    for (const [id, count] of this.#strikes) {
      if (!covers(ranges, id)) continue;
      strikes = Math.max(strikes, count + 1);
      this.#strikes.delete(id);
    }
    this.#strikes.set(first, strikes);
    for (const id of this.#strikes.keys()) if (this.#strikes.size > mostStrikes) this.#strikes.delete(id);
    if (strikes === 1) return { kind: 'retry', reason: 'timeout', detail: `${why}; sent again, so it may come twice` };
    if (this.#suspect !== undefined && !covers(ranges, this.#suspect.first)) return this.#held(this.#suspect);
    const waitMs = Math.min(this.#ackTimeoutMs * 2 ** Math.min(strikes - 2, 30), Math.max(hourMs, this.#ackTimeoutMs));
    const now = this.#elapsed();
    this.#suspect = { first, strikes, nextAtMs: now + waitMs, seenAtMs: now, why };
    return this.#repeated(this.#suspect, waitMs);
  }

  /** The batch is safe: whatever was held against it is forgotten. */
  cleared(ranges: Ranges): void {
    for (const id of this.#strikes.keys()) if (covers(ranges, id)) this.#strikes.delete(id);
    if (this.#suspect !== undefined && covers(ranges, this.#suspect.first)) this.#suspect = undefined;
  }

  /** Why this batch may not be sent now, or undefined where it may. */
  holds(batch: Batch): Verdict | undefined {
    const suspect = this.#suspect;
    if (suspect === undefined) return undefined;
    const now = this.#elapsed();
    if (batch.records.some(({ event }) => event.id === suspect.first)) {
      suspect.seenAtMs = now;
      return now >= suspect.nextAtMs ? undefined : this.#repeated(suspect, suspect.nextAtMs - now);
    }
    if (now <= Math.max(suspect.nextAtMs, suspect.seenAtMs + this.#ackTimeoutMs) + forsakenMs)
      return this.#held(suspect);
    suspect.first = batch.records[0]?.event.id ?? 0n;
    suspect.seenAtMs = now;
    return undefined;
  }

  #repeated({ why, strikes }: Suspect, waitMs: number): Verdict {
    const again = `nothing new is sent, this batch is repeated in ${inWords(waitMs)}`;
    return {
      kind: 'retry',
      reason: 'timeout',
      detail: `${why}, ${strikes} times: ${causes}; ${again}`,
      afterMs: Math.ceil(waitMs),
    };
  }

  #held({ first, why }: Suspect): Verdict {
    const detail = `held back until the batch from id ${first} is acknowledged (${why})`;
    return { kind: 'retry', reason: 'timeout', detail, afterMs: askAgainMs };
  }
}

const causes =
  'the acknowledgement path is broken: a load balancer without sticky sessions, Splunk Cloud (which acknowledges nothing over HEC), or replication that does not complete';

function covers(ranges: Ranges, id: Cursor): boolean {
  return ranges.some(([from, to]) => from <= id && id <= to);
}

/** The ids of a batch as ranges without holes. */
export function rangesOf(batch: Batch): Ranges {
  const ranges: [Cursor, Cursor][] = [];
  for (const { event } of batch.records) {
    const last = ranges.at(-1);
    if (last !== undefined && event.id === last[1] + 1n) last[1] = event.id;
    else ranges.push([event.id, event.id]);
  }
  return ranges;
}

/** A duration for a person. */
export function inWords(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)} ms`;
  if (ms < 120_000) return `${Math.ceil(ms / 1000)} s`;
  return `${Math.ceil(ms / 60_000)} min`;
}
