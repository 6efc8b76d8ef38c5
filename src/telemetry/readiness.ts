import type { Health, Instant } from './health.ts';

/** A sink may fail or be parked for so long, milliseconds. */
const sinkGraceMs = 5 * 60_000;
const shortestPollLimitMs = 5 * 60_000;
/** A request that is out for so long will never end, milliseconds: every one has a timeout. */
const stuckMs = 15 * 60_000;

/** Why the forwarder is not ready; words of our own, nothing that came from outside. */
export interface Unready {
  readonly code:
    | 'no_poll_yet'
    | 'poll_too_old'
    | 'key_refused'
    | 'source_address'
    | 'source_unreadable'
    | 'sink_failing'
    | 'sink_parked'
    | 'sink_gone'
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

/** Contract section 5: what `/readyz` says at this moment. */
export function readiness(health: Health): Readiness {
  const reasons = [...sourceReasons(health), ...sinkReasons(health)];
  return { ready: reasons.length === 0, reasons };
}

function* sourceReasons(health: Health): Generator<Unready> {
  const { source, started, pollEveryMs } = health;
  const now = health.now();
  const limitMs = Math.max(shortestPollLimitMs, 2 * pollEveryMs);
  if (source.lastPoll === undefined)
    yield { code: 'no_poll_yet', since: iso(started), detail: 'no page of the audit log was read yet' };
  else if (now.monotonicMs - source.lastPoll.monotonicMs > limitMs)
    yield {
      code: 'poll_too_old',
      since: iso(source.lastPoll),
      detail: `the last good poll is older than ${Math.round(limitMs / 1000)} s`,
    };
  const { trouble } = source;
  if (source.key === 'refused')
    yield { code: 'key_refused', since: iso(trouble?.since ?? now), detail: 'QA Sphere refuses the API key' };
  else if (trouble?.reason === 'address')
    yield {
      code: 'source_address',
      since: iso(trouble.since),
      detail: 'there is no audit log at source.url any more (404, or a redirect)',
    };
  for (const [after, { since }] of source.unreadable)
    yield {
      code: 'source_unreadable',
      since: iso(since),
      detail: `the page after ${after} can't be read: only "cursor set" passes it`,
    };
}

function* sinkReasons(health: Health): Generator<Unready> {
  const now = health.now().monotonicMs;
  for (const [sink, { trouble, stateTrouble, rewritten }] of health.sinks) {
    if (stateTrouble !== undefined)
      yield { code: 'state_not_writable', sink, since: iso(stateTrouble.since), detail: 'state can’t be written' };
    if (rewritten !== undefined)
      yield {
        code: 'log_rewritten',
        sink,
        since: iso(rewritten.since),
        detail: `event ${rewritten.id} is another one than was delivered: was the tenant restored from a backup?`,
      };
    if (trouble === undefined || now - trouble.since.monotonicMs <= sinkGraceMs) continue;
    const reason = trouble.reason === undefined ? '' : `: ${trouble.reason}`;
    yield { code: `sink_${trouble.kind}`, sink, since: iso(trouble.since), detail: `${words[trouble.kind]}${reason}` };
  }
}

const words = {
  failing: 'nothing is delivered',
  parked: 'the sink refuses us, and a person must act',
  gone: 'the destination is gone',
};

/**
 * Whether the loops move; waiting, backing off and being parked is moving. Who can ask sees that the event loop turns,
 * so what is left is a request that never ends.
 */
export function isAlive(health: Health): boolean {
  const now = health.now().monotonicMs;
  return health.source.asking.values().every(({ monotonicMs }) => now - monotonicMs <= stuckMs);
}

export function iso({ epochMs }: Instant): string {
  return new Date(epochMs).toISOString();
}
