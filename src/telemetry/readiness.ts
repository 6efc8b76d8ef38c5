import type { Health, Instant } from './health.ts';

/** How long a sink may be failing or parked, milliseconds. */
const sinkGraceMs = 5 * 60_000;
/** How old the last good poll may be, at least, milliseconds. */
const MIN_POLL_AGE_MS = 5 * 60_000;
/** Every request has a timeout, so one that is open for longer never ends, milliseconds. */
const stuckMs = 15 * 60_000;

/** Why the forwarder is not ready. No member holds text from outside. */
export interface Unready {
  readonly code:
    | 'no_poll_yet'
    | 'poll_too_old'
    | 'key_refused'
    | 'source_address'
    | 'source_unreadable'
    | 'sink_failing'
    | 'sink_parked'
    | 'sink_failed'
    | 'log_rewritten'
    | 'state_not_writable';
  readonly sink?: string;
  /** ISO 8601. */
  readonly since: string;
  readonly detail: string;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly Unready[];
}

/** What `/readyz` returns now (contract section 5). */
export function readiness(health: Health): Readiness {
  const reasons = [...sourceReasons(health), ...sinkReasons(health)];
  return { ready: reasons.length === 0, reasons };
}

function* sourceReasons(health: Health): Generator<Unready> {
  const { source, started, pollEveryMs } = health;
  const now = health.now();
  const limitMs = Math.max(MIN_POLL_AGE_MS, 2 * pollEveryMs);
  if (source.lastPoll === undefined)
    yield { code: 'no_poll_yet', since: iso(started), detail: 'no page of the audit log has been read yet' };
  else if (now.monotonicMs - source.lastPoll.monotonicMs > limitMs)
    yield {
      code: 'poll_too_old',
      since: iso(source.lastPoll),
      detail: `the last good poll is older than ${Math.round(limitMs / 1000)} s`,
    };
  const { outage } = source;
  if (source.key === 'refused')
    yield { code: 'key_refused', since: iso(outage?.since ?? now), detail: 'QA Sphere rejects the API key' };
  else if (outage?.reason === 'address')
    yield {
      code: 'source_address',
      since: iso(outage.since),
      detail: 'the audit log is no longer found at source.url (404 or a redirect)',
    };
  for (const [after, { since }] of source.unreadable)
    yield {
      code: 'source_unreadable',
      since: iso(since),
      detail: `the page after event ${after} is unreadable; only "cursor set" moves past it`,
    };
}

function* sinkReasons(health: Health): Generator<Unready> {
  const now = health.now().monotonicMs;
  for (const [sink, { outage, stateOutage, rewritten }] of health.sinks) {
    if (stateOutage !== undefined)
      yield { code: 'state_not_writable', sink, since: iso(stateOutage.since), detail: 'state cannot be written' };
    if (rewritten !== undefined)
      yield {
        code: 'log_rewritten',
        sink,
        since: iso(rewritten.since),
        detail: `event ${rewritten.id} is no longer the event that was delivered; was the tenant restored from a backup? "cursor set" clears this`,
      };
    if (outage === undefined || now - outage.since.monotonicMs <= sinkGraceMs) continue;
    const reason = outage.reason === undefined ? '' : `: ${outage.reason}`;
    yield { code: `sink_${outage.kind}`, sink, since: iso(outage.since), detail: `${words[outage.kind]}${reason}` };
  }
}

const words = {
  failing: 'deliveries fail',
  parked: 'the sink rejects the forwarder; a person must act',
  failed: 'the destination is gone',
};

/**
 * Whether the loops move. Waiting, backing off and being parked count as moving. An answer by itself shows that the event
 * loop turns, so only a request that never ends is left to detect.
 */
export function isAlive(health: Health): boolean {
  const now = health.now().monotonicMs;
  return health.source.requests.values().every(({ monotonicMs }) => now - monotonicMs <= stuckMs);
}

export function iso({ epochMs }: Instant): string {
  return new Date(epochMs).toISOString();
}
