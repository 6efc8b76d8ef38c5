import type { Health, Instant, Outage, SinkHealth } from './health.ts';
import { isAlive, iso, readiness, type Unready } from './readiness.ts';

/** The current state, ready for JSON: ids are strings of digits, times ISO 8601, durations seconds. */
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
    /** The server's clock minus the local one. */
    readonly clockDifferenceSeconds?: number;
    readonly lastError?: LastError;
  };
  readonly sinks: readonly SinkStatus[];
}

/** An outage that has not ended, with its newest report. */
export interface LastError {
  readonly kind: string;
  readonly since: string;
  readonly seconds: number;
  readonly reason?: string;
  /** One printable line; may quote the other side. */
  readonly detail: string;
}

export interface SinkStatus {
  readonly name: string;
  /** Where the sink delivers to, without secrets; added by whoever knows the configuration. */
  readonly destination?: string;
  /** `failed`: the destination is gone for good; `paused`: state cannot be written. */
  readonly state: 'ok' | 'failing' | 'parked' | 'failed' | 'paused';
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
  readonly deadLettered: number;
  readonly lastError?: LastError;
}

export function status(health: Health): Status {
  const now = health.now();
  const { source, started, version } = health;
  const { lastPoll, serverAheadMs, outage } = source;
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
      ...(outage && { lastError: lastErrorOf(outage, now) }),
    },
    sinks: [...health.sinks].map(([name, sink]) => sinkStatus(name, sink, health, now)),
  };
}

function sinkStatus(name: string, sink: SinkHealth, health: Health, now: Instant): SinkStatus {
  const { cursor, head, headAtMs, lastSuccess, delivered, deadLettered } = sink;
  const outage = sink.stateOutage ?? sink.outage;
  return {
    name,
    state: outage?.kind ?? 'ok',
    ...(cursor !== undefined && { cursor: String(cursor) }),
    ...(head !== undefined && { last: String(head) }),
    ...(headAtMs !== undefined && { lastEventAt: new Date(headAtMs).toISOString() }),
    ...(lastSuccess && { lastSuccess: iso(lastSuccess) }),
    lagSeconds: seconds(health.lagMs(sink)),
    perSecond: Math.round(sink.rate.perSecond(now.monotonicMs) * 10) / 10,
    delivered,
    deadLettered,
    ...(outage && { lastError: lastErrorOf(outage, now) }),
  };
}

function lastErrorOf({ kind, since, reason, detail }: Outage, now: Instant): LastError {
  const lastedSeconds = seconds(now.monotonicMs - since.monotonicMs);
  return { kind, since: iso(since), seconds: lastedSeconds, ...(reason !== undefined && { reason }), detail };
}

const seconds = (ms: number) => Math.round(ms / 100) / 10;
