import type { Cursor } from '../event/event.ts';
import type { Reason } from '../lib/verdict.ts';

/** A moment by both local clocks, milliseconds. Ages are measured by the monotonic one, which is never set. */
export interface Instant {
  readonly epochMs: number;
  readonly monotonicMs: number;
}

/** Something that does not work: since when, and the newest report. */
export interface Outage<Kind extends string = string> {
  readonly kind: Kind;
  readonly since: Instant;
  readonly reason: Reason | undefined;
  /** One printable line. */
  readonly detail: string;
  readonly attempts: number;
}

/** A TLS certificate in use; `peer` is `source` or `sink/NAME`. */
export interface Certificate {
  readonly peer: string;
  readonly whose: 'server' | 'client';
  /** Milliseconds since the epoch. */
  readonly endsAtMs: number;
}

export interface SourceHealth {
  /** When a page was last read. */
  lastPoll: Instant | undefined;
  key: 'unknown' | 'accepted' | 'refused';
  /** Set while polls fail. */
  outage: Outage<'failing' | 'refused'> | undefined;
  /** By the cursor whose page is unreadable. */
  readonly unreadable: Map<Cursor, { readonly since: Instant; readonly detail: string }>;
  /** When each open request was sent, by its cursor. */
  readonly requests: Map<Cursor, Instant>;
  /** The server's clock minus the local one, milliseconds; undefined while the server sends no Date. */
  serverAheadMs: number | undefined;
  /** The server's clock minus the local monotonic one. */
  serverOffsetMs: number | undefined;
}

export interface SinkHealth {
  /** The checkpoint's `after`: every event up to it is done. */
  cursor: Cursor | undefined;
  /** The greatest id confirmed. */
  head: Cursor | undefined;
  /** When that event was created, epoch milliseconds. */
  headAtMs: number | undefined;
  lastSuccess: Instant | undefined;
  outage: Outage<'failing' | 'parked' | 'failed'> | undefined;
  /** Whether the outage began under an earlier pipeline, before a reload. */
  isOutageInherited: boolean;
  /** Set while the checkpoint or the dead letter cannot be written. */
  stateOutage: Outage<'paused'> | undefined;
  /** The newest delivered event was replaced by another one: since when, and its id. */
  rewritten: { readonly since: Instant; readonly id: Cursor } | undefined;
  /** When the oldest event seen and not confirmed was created, epoch milliseconds by the server's clock. */
  oldestAtMs: number | undefined;
  /** The newest seal of this process; undefined without `evidence`. */
  seal: SealHealth | undefined;
  delivered: number;
  deadLettered: number;
  readonly rate: Rate;
}

/** The newest seal of a sink. */
export interface SealHealth {
  readonly tenant: string;
  readonly seq: number;
  /** Of its line, hex. */
  readonly sha256: string;
  /** Events that its chain covers. */
  readonly treeSize: number;
  /** The end of its interval, milliseconds since the epoch by the server's clock. */
  readonly atMs: number;
  /** The longest interval of a seal, milliseconds. */
  readonly everyMs: number;
}

/** A sink of which nothing is known yet. */
export function unknownSink(): SinkHealth {
  return {
    cursor: undefined,
    head: undefined,
    headAtMs: undefined,
    lastSuccess: undefined,
    outage: undefined,
    isOutageInherited: false,
    stateOutage: undefined,
    rewritten: undefined,
    oldestAtMs: undefined,
    seal: undefined,
    delivered: 0,
    deadLettered: 0,
    rate: new Rate(),
  };
}

const bucketMs = 5_000;
const buckets = 12;

/** Events per second over the last minute. */
export class Rate {
  readonly #counts: number[] = new Array(buckets).fill(0);
  #current = 0;
  #sinceMs: number | undefined;

  /** @param atMs monotonic milliseconds */
  add(events: number, atMs: number): void {
    this.#sinceMs ??= atMs;
    this.#advance(atMs);
    const at = this.#current % buckets;
    this.#counts[at] = (this.#counts[at] ?? 0) + events;
  }

  perSecond(atMs: number): number {
    if (this.#sinceMs === undefined) return 0;
    this.#advance(atMs);
    const events = this.#counts.reduce((sum, count) => sum + count, 0);
    // The first minute is not full, and the current bucket never is.
    const spanMs = Math.min(atMs - this.#sinceMs, (buckets - 1) * bucketMs + (atMs % bucketMs));
    return events / (Math.max(spanMs, bucketMs) / 1000);
  }

  #advance(atMs: number): void {
    const now = Math.floor(atMs / bucketMs);
    for (let bucket = Math.max(this.#current + 1, now - buckets + 1); bucket <= now; bucket++)
      this.#counts[bucket % buckets] = 0;
    this.#current = Math.max(this.#current, now);
  }
}
