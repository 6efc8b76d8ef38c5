import type { Health, Instant, Outage, SinkHealth } from './health.ts';
import { isAlive, iso, readiness, type Unready } from './readiness.ts';

/** How everything fares at one moment, fit for JSON: ids are strings of digits, times ISO 8601, spans seconds. */
export interface Status {
  readonly format: 1;
  readonly at: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly alive: boolean;
  readonly ready: boolean;
  readonly reasons: readonly Unready[];
  readonly source: {
    readonly key: 'unknown' | 'accepted' | 'refused';
    readonly lastPoll?: string;
    readonly lastPollAgeSeconds?: number;
    /** The server's clock less this machine's. */
    readonly clockDifferenceSeconds?: number;
    readonly trouble?: TroubleStatus;
  };
  readonly sinks: readonly SinkStatus[];
}

export interface TroubleStatus {
  readonly kind: string;
  readonly since: string;
  readonly seconds: number;
  readonly reason?: string;
  /** One printable line, may hold words of the other side. */
  readonly detail: string;
}

export interface SinkStatus {
  readonly name: string;
  readonly state: 'ok' | 'failing' | 'parked' | 'gone' | 'state';
  /** The checkpoint's `after`. */
  readonly cursor?: string;
  /** The greatest id confirmed, and when that event was created. */
  readonly last?: string;
  readonly lastEventAt?: string;
  readonly lastSuccess?: string;
  readonly lagSeconds: number;
  /** Events per second over the last minute. */
  readonly perSecond: number;
  /** Since the start of the process. */
  readonly delivered: number;
  readonly setAside: number;
  readonly trouble?: TroubleStatus;
}

export function status(health: Health): Status {
  const now = health.now();
  const { source, started, version } = health;
  const { lastPoll, serverAheadMs, trouble } = source;
  return {
    format: 1,
    at: iso(now),
    version,
    pid: process.pid,
    startedAt: iso(started),
    alive: isAlive(health),
    ...readiness(health),
    source: {
      key: source.key,
      ...(lastPoll && { lastPoll: iso(lastPoll), lastPollAgeSeconds: seconds(now.monotonicMs - lastPoll.monotonicMs) }),
      ...(serverAheadMs !== undefined && { clockDifferenceSeconds: seconds(serverAheadMs) }),
      ...(trouble && { trouble: troubleOf(trouble, now) }),
    },
    sinks: [...health.sinks].map(([name, sink]) => sinkStatus(name, sink, health, now)),
  };
}

function sinkStatus(name: string, sink: SinkHealth, health: Health, now: Instant): SinkStatus {
  const { cursor, head, headAtMs, lastSuccess, delivered, setAside } = sink;
  const trouble = sink.stateTrouble ?? sink.trouble;
  return {
    name,
    state: trouble?.kind ?? 'ok',
    ...(cursor !== undefined && { cursor: String(cursor) }),
    ...(head !== undefined && { last: String(head) }),
    ...(headAtMs !== undefined && { lastEventAt: new Date(headAtMs).toISOString() }),
    ...(lastSuccess && { lastSuccess: iso(lastSuccess) }),
    lagSeconds: seconds(health.lagMs(sink)),
    perSecond: Math.round(sink.rate.perSecond(now.monotonicMs) * 10) / 10,
    delivered,
    setAside,
    ...(trouble && { trouble: troubleOf(trouble, now) }),
  };
}

function troubleOf({ kind, since, reason, detail }: Outage, now: Instant): TroubleStatus {
  const lasts = seconds(now.monotonicMs - since.monotonicMs);
  return { kind, since: iso(since), seconds: lasts, ...(reason !== undefined && { reason }), detail };
}

const seconds = (ms: number) => Math.round(ms / 100) / 10;
