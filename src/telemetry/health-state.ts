import type { Cursor } from '../event/event.ts';
import type { Reason } from '../lib/verdict.ts';
import { Rate } from './rate.ts';

/** One moment by both of this machine's clocks, milliseconds: ages are measured by the one that nobody sets. */
export interface Instant {
  readonly epochMs: number;
  readonly monotonicMs: number;
}

/** Something that does not work, since when, and what was last said of it. */
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
  /** Polls fail. */
  trouble: Outage<'failing' | 'refused'> | undefined;
  /** By the cursor whose page can't be read. */
  readonly unreadable: Map<Cursor, { readonly since: Instant; readonly detail: string }>;
  /** Requests that are out, by their cursor. */
  readonly asking: Map<Cursor, Instant>;
  /** The server's clock less this machine's, milliseconds; undefined while it gives no Date. */
  serverAheadMs: number | undefined;
  /** The server's clock less this machine's monotonic one. */
  serverOffsetMs: number | undefined;
  fetched: number;
}

export interface SinkHealth {
  /** The checkpoint's `after`: everything at or below is done. */
  cursor: Cursor | undefined;
  /** The greatest id confirmed. */
  head: Cursor | undefined;
  /** When that event was created, epoch. */
  headAtMs: number | undefined;
  lastSuccess: Instant | undefined;
  trouble: Outage<'failing' | 'parked' | 'gone'> | undefined;
  /** The checkpoint or the dead letter can't be written. */
  stateTrouble: Outage<'state'> | undefined;
  /** The newest delivered event has another text now: since when, and its id. */
  rewritten: { readonly since: Instant; readonly id: Cursor } | undefined;
  /** When the oldest event seen and not confirmed was created, epoch by the server's clock. */
  oldestAtMs: number | undefined;
  delivered: number;
  setAside: number;
  readonly rate: Rate;
}

/** Before anything is known of it. */
export function unknownSink(): SinkHealth {
  return {
    cursor: undefined,
    head: undefined,
    headAtMs: undefined,
    lastSuccess: undefined,
    trouble: undefined,
    stateTrouble: undefined,
    rewritten: undefined,
    oldestAtMs: undefined,
    delivered: 0,
    setAside: 0,
    rate: new Rate(),
  };
}
