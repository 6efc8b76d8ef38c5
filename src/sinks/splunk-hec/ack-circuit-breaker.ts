import type { Batch, Cursor } from '../../event/event.ts';
import type { Retry } from '../../lib/verdict.ts';

/** Inclusive id ranges, ascending, without a hole inside a range. */
export type Ranges = readonly (readonly [Cursor, Cursor])[];

const hourMs = 3_600_000;
/** How soon a batch that is held back while the suspect is on the wire may ask again. */
const askAgainMs = 15_000;
const mostStrikes = 256;

/** Why a batch is sent again that may have been delivered. */
export const anew =
  'the indexer counts its ackIds anew (it started again, or another one answers), so what was open on the channel is lost track of';
export const unsure =
  'the answer to a later batch on its channel was lost: should the indexer have begun to count its ackIds anew, both have the number 0, and its acknowledgement could mean the other; sent again, so it may come twice';

interface Suspect {
  first: Cursor;
  readonly strikes: number;
  readonly why: string;
  readonly nextAtMs: number;
  onWire: boolean;
}

/**
 * Whether the acknowledgement path can be believed.
 *
 * - sound: a batch not acknowledged is sent again, once, at once;
 * - broken, as soon as one goes unacknowledged a second time: one batch alone, the suspect, is sent, again and again with
 *   a wait that doubles from `ackTimeout` to an hour; all else is held back, since sending it could only double it;
 * - sound again with the suspect's acknowledgement.
 */
export class AckCircuitBreaker {
  readonly #ackTimeoutMs: number;
  readonly #elapsed: () => number;
  /** How often a batch that begins with this id stayed unacknowledged. */
  readonly #strikes = new Map<Cursor, number>();
  #suspect: Suspect | undefined;

  /** `elapsed`: milliseconds on a clock that nobody sets. */
  constructor(ackTimeoutMs: number, elapsed: () => number) {
    this.#ackTimeoutMs = ackTimeoutMs;
    this.#elapsed = elapsed;
  }

  /** What a batch gets that stayed unacknowledged for the reason `why`. */
  struck(ranges: Ranges, why: string): Retry {
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
    this.#suspect = { first, strikes, why, nextAtMs: this.#elapsed() + waitMs, onWire: false };
    return this.#held(this.#suspect);
  }

  /** The batch is safe: whatever was held against it is forgotten. */
  cleared(ranges: Ranges): void {
    for (const id of this.#strikes.keys()) if (covers(ranges, id)) this.#strikes.delete(id);
    if (this.#suspect !== undefined && covers(ranges, this.#suspect.first)) this.#suspect = undefined;
  }

  /** The batch waits for its acknowledgement; where there is a suspect it is this one from now on. */
  waits(ranges: Ranges): void {
    if (this.#suspect === undefined) return;
    this.#suspect.first = ranges[0]?.[0] ?? 0n;
    this.#suspect.onWire = true;
  }

  /** Why nothing may be sent now, or undefined where something may. */
  holds(): Retry | undefined {
    const suspect = this.#suspect;
    if (suspect === undefined || (!suspect.onWire && this.#elapsed() >= suspect.nextAtMs)) return undefined;
    return this.#held(suspect);
  }

  #held({ first, strikes, why, nextAtMs, onWire }: Suspect): Retry {
    const afterMs = onWire ? askAgainMs : Math.max(1, Math.ceil(nextAtMs - this.#elapsed()));
    const plan = onWire
      ? `nothing new is sent until the batch from id ${first} is acknowledged`
      : `nothing new is sent, the batch from id ${first} is repeated in ${inWords(afterMs)}`;
    return { kind: 'retry', reason: 'timeout', detail: `${why}, ${strikes} times: ${causes}; ${plan}`, afterMs };
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
