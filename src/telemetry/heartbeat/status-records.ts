import type { StatusRecord, StatusRecordEvent } from '../../event/status-record.ts';
import type { Health, Instant, SinkHealth } from '../health.ts';
import { iso, readiness } from '../readiness.ts';
import type { TelemetryEvent } from '../telemetry-event.ts';

/** A note, and the sink it is for; without one it is for all. */
export interface Addressed {
  readonly sink?: string;
  readonly note: StatusRecord;
}

/** What lasts shorter than this is no interruption, milliseconds. */
export const interruptionMs = 30_000;

type Why = 'key_refused' | 'source_unreachable' | 'source_address' | 'source_unreadable';

/** Makes notes of happenings: what a SIEM should know of the forwarder, and nothing that comes every minute. */
export class StatusRecords {
  readonly #health: Health;
  #interruption: { readonly since: Instant; readonly why: Why } | undefined;

  constructor(health: Health) {
    this.#health = health;
  }

  /** Call it after `health` has observed the same. */
  handle(h: TelemetryEvent): Addressed[] {
    switch (h.event) {
      case 'source.refused':
        return this.#interrupted('key_refused', h.detail);
      case 'source.unreadable':
        return this.#interrupted('source_unreadable', `the page after ${h.after} can't be read`);
      case 'source.retry':
        return this.#sourceFails(h.reason === 'address' ? 'source_address' : 'source_unreachable', h.detail);
      case 'source.page':
        return this.#health.source.unreadable.size > 0 ? [] : this.#resumed();
      case 'pipeline.set_aside': {
        const { sink, id, reason, detail } = h;
        return [{ sink, note: this.note('forwarder.set_aside', { sink, id: String(id), reason, detail }) }];
      }
      case 'sink.info':
        if (h.topic !== 'proof_of_delivery') return [];
        return [
          { sink: h.sink, note: this.note('forwarder.configured', { sink: h.sink, proof_of_delivery: h.detail }) },
        ];
      default:
        return [];
    }
  }

  /** What a heartbeat tells of a sink at this moment. */
  heartbeat(name: string, sequence: number, everyMs: number): StatusRecord {
    const { source, started, version } = this.#health;
    const sink = this.#health.sinks.get(name);
    const now = this.#health.now();
    const { lastPoll, serverAheadMs, trouble } = source;
    return this.note('forwarder.heartbeat', {
      sequence,
      every_seconds: everyMs / 1000,
      version,
      started_at: iso(started),
      sink: name,
      ready: readiness(this.#health).ready,
      source: source.unreadable.size > 0 ? 'unreadable' : (trouble?.kind ?? (lastPoll ? 'ok' : 'unknown')),
      ...(trouble && { source_reason: trouble.reason, source_failing_seconds: age(trouble.since, now) }),
      ...(lastPoll && { last_poll_at: this.#time(lastPoll), last_poll_age_seconds: age(lastPoll, now) }),
      ...(serverAheadMs !== undefined && { clock_difference_seconds: Math.round(serverAheadMs / 100) / 10 }),
      ...(sink && this.#sinkFacts(sink)),
    });
  }

  /** Times by the server's clock where it is known: a wrong local clock must not look like a missing heartbeat. */
  note(event: StatusRecordEvent, members: Readonly<Record<string, unknown>>): StatusRecord {
    const atMs = Math.round(this.#health.now().epochMs + (this.#health.source.serverAheadMs ?? 0));
    return { event, atMs, members };
  }

  /** The end of an interruption on the way to the API, or to the sink itself. */
  resumption(what: 'source' | 'sink', why: string, since: Instant): StatusRecord {
    const seconds = age(since, this.#health.now());
    return this.note('forwarder.resumed', { what, why, since: this.#time(since), seconds });
  }

  #sinkFacts(sink: SinkHealth): Record<string, unknown> {
    const { cursor, head, headAtMs, delivered, setAside } = sink;
    return {
      ...(cursor !== undefined && { cursor: String(cursor) }),
      ...(head !== undefined && { last_id: String(head) }),
      ...(headAtMs !== undefined && { last_event_at: new Date(headAtMs).toISOString() }),
      lag_seconds: Math.round(this.#health.lagMs(sink) / 100) / 10,
      delivered,
      set_aside: setAside,
    };
  }

  #sourceFails(why: Why, detail: string): Addressed[] {
    const { trouble } = this.#health.source;
    const now = this.#health.now();
    const lasted = trouble === undefined ? 0 : now.monotonicMs - trouble.since.monotonicMs;
    return why === 'source_address' || lasted >= interruptionMs ? this.#interrupted(why, detail) : [];
  }

  #interrupted(why: Why, detail: string): Addressed[] {
    if (this.#interruption !== undefined) return [];
    const since = this.#health.source.trouble?.since ?? this.#health.now();
    this.#interruption = { since, why };
    return [{ note: this.note('forwarder.interrupted', { what: 'source', why, since: this.#time(since), detail }) }];
  }

  #resumed(): Addressed[] {
    if (this.#interruption === undefined) return [];
    const { why, since } = this.#interruption;
    this.#interruption = undefined;
    return [{ note: this.resumption('source', why, since) }];
  }

  #time({ epochMs }: Instant): string {
    return new Date(epochMs + (this.#health.source.serverAheadMs ?? 0)).toISOString();
  }
}

const age = (since: Instant, now: Instant) => Math.round((now.monotonicMs - since.monotonicMs) / 100) / 10;
