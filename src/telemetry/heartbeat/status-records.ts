import type { StatusRecord, StatusRecordEvent } from '../../event/status-record.ts';
import type { Health, Instant, SinkHealth } from '../health.ts';
import { iso, readiness } from '../readiness.ts';
import { dispatch, type Handlers, type TelemetryEvent } from '../telemetry-event.ts';

/** A status record and the sink it is for; without one it is for all. */
export interface Addressed {
  readonly sink?: string;
  readonly record: StatusRecord;
}

/** A shorter outage is not reported, milliseconds. */
export const interruptionMs = 30_000;

type Why = 'key_refused' | 'source_unreachable' | 'source_address' | 'source_unreadable';

/** Makes status records from telemetry events: what a SIEM should know about the forwarder. */
export class StatusRecords {
  readonly #health: Health;
  #interruption: { readonly since: Instant; readonly why: Why } | undefined;

  constructor(health: Health) {
    this.#health = health;
  }

  /** Call it after `health` has handled the same event. */
  handle(event: TelemetryEvent): readonly Addressed[] {
    return dispatch(this.#handlers, event) ?? [];
  }

  readonly #handlers: Handlers<[], Addressed[]> = {
    'source.refused': ({ detail }) => this.#interrupted('key_refused', detail),
    'source.unreadable': ({ after }) => this.#interrupted('source_unreadable', `the page after ${after} is unreadable`),
    'source.retry': ({ reason, detail }) =>
      this.#sourceFails(reason === 'address' ? 'source_address' : 'source_unreachable', detail),
    'source.page': () => (this.#health.source.unreadable.size > 0 ? [] : this.#resumed()),
    'pipeline.set_aside': ({ sink, id, reason, detail }) => [
      { sink, record: this.record('forwarder.set_aside', { sink, id: String(id), reason, detail }) },
    ],
    'sink.info': ({ sink, topic, detail }) =>
      topic === 'proof_of_delivery'
        ? [{ sink, record: this.record('forwarder.configured', { sink, proof_of_delivery: detail }) }]
        : [],
  };

  /** A heartbeat with the current state of a sink. */
  heartbeat(name: string, sequence: number, everyMs: number): StatusRecord {
    const { source, started, version } = this.#health;
    const sink = this.#health.sinks.get(name);
    const now = this.#health.now();
    const { lastPoll, serverAheadMs, outage } = source;
    return this.record('forwarder.heartbeat', {
      sequence,
      every_seconds: everyMs / 1000,
      version,
      started_at: iso(started),
      sink: name,
      ready: readiness(this.#health).ready,
      source: source.unreadable.size > 0 ? 'unreadable' : (outage?.kind ?? (lastPoll ? 'ok' : 'unknown')),
      ...(outage && { source_reason: outage.reason, source_failing_seconds: age(outage.since, now) }),
      ...(lastPoll && { last_poll_at: this.#time(lastPoll), last_poll_age_seconds: age(lastPoll, now) }),
      ...(serverAheadMs !== undefined && { clock_difference_seconds: Math.round(serverAheadMs / 100) / 10 }),
      ...(sink && this.#sinkFacts(sink)),
    });
  }

  /** Times are by the server's clock if it is known: a wrong local clock must not look like a missing heartbeat. */
  record(event: StatusRecordEvent, members: Readonly<Record<string, unknown>>): StatusRecord {
    const atMs = Math.round(this.#health.now().epochMs + (this.#health.source.serverAheadMs ?? 0));
    return { event, atMs, members };
  }

  /** The end of an outage of the API or of the sink. */
  resumption(what: 'source' | 'sink', why: string, since: Instant): StatusRecord {
    const seconds = age(since, this.#health.now());
    return this.record('forwarder.resumed', { what, why, since: this.#time(since), seconds });
  }

  #sinkFacts(sink: SinkHealth): Record<string, unknown> {
    const { cursor, head, headAtMs, delivered, deadLettered, seal } = sink;
    return {
      ...(cursor !== undefined && { cursor: String(cursor) }),
      ...(head !== undefined && { last_id: String(head) }),
      ...(headAtMs !== undefined && { last_event_at: new Date(headAtMs).toISOString() }),
      lag_seconds: Math.round(this.#health.lagMs(sink) / 100) / 10,
      delivered,
      set_aside: deadLettered,
      ...(seal && { seal_seq: seal.seq, seal_sha256: seal.sha256, tree_size: seal.treeSize }),
    };
  }

  #sourceFails(why: Why, detail: string): Addressed[] {
    const { outage } = this.#health.source;
    const now = this.#health.now();
    const lastedMs = outage === undefined ? 0 : now.monotonicMs - outage.since.monotonicMs;
    return why === 'source_address' || lastedMs >= interruptionMs ? this.#interrupted(why, detail) : [];
  }

  #interrupted(why: Why, detail: string): Addressed[] {
    if (this.#interruption !== undefined) return [];
    const since = this.#health.source.outage?.since ?? this.#health.now();
    this.#interruption = { since, why };
    return [
      { record: this.record('forwarder.interrupted', { what: 'source', why, since: this.#time(since), detail }) },
    ];
  }

  #resumed(): Addressed[] {
    if (this.#interruption === undefined) return [];
    const { why, since } = this.#interruption;
    this.#interruption = undefined;
    return [{ record: this.resumption('source', why, since) }];
  }

  #time({ epochMs }: Instant): string {
    return new Date(epochMs + (this.#health.source.serverAheadMs ?? 0)).toISOString();
  }
}

const age = (since: Instant, now: Instant) => Math.round((now.monotonicMs - since.monotonicMs) / 100) / 10;
