import type { Reason } from '../lib/verdict.ts';
import {
  type Certificate,
  type Instant,
  type Outage,
  type SinkHealth,
  type SourceHealth,
  unknownSink,
} from './health-state.ts';
import { dispatch, type EventOf, type Handlers, type TelemetryEvent } from './telemetry-event.ts';

export type { Certificate, Instant, Outage, SealHealth, SinkHealth, SourceHealth } from './health-state.ts';

/**
 * The current state of the source and of each sink, derived from the telemetry events. It has no effect on delivery.
 *
 * An outage of a sink begins with `pipeline.retry`, `pipeline.parked` or `pipeline.failed` and ends with
 * `pipeline.recovered` or `pipeline.unparked`, not with a delivery: a batch that was sent before the outage may be confirmed
 * during it. After a reload the new pipeline knows nothing of an outage under the old one, so there its first delivery ends it.
 */
export class Health {
  readonly #clock: () => Instant;
  readonly started: Instant;
  version = '';
  /** The schedule's longest interval, milliseconds. */
  pollEveryMs = 0;
  readonly source: SourceHealth = {
    lastPoll: undefined,
    key: 'unknown',
    outage: undefined,
    unreadable: new Map(),
    requests: new Map(),
    serverAheadMs: undefined,
    serverOffsetMs: undefined,
  };
  /** In the order of the configuration. */
  sinks: ReadonlyMap<string, SinkHealth> = new Map();

  readonly #certificates = new Map<string, Certificate>();

  constructor(clock: () => Instant) {
    this.#clock = clock;
    this.started = clock();
  }

  now(): Instant {
    return this.#clock();
  }

  /** The newest of each peer. */
  get certificates(): Iterable<Certificate> {
    return this.#certificates.values();
  }

  /** Age of the oldest event seen and not confirmed; while polls fail at least that of the last good one. */
  lagMs({ oldestAtMs }: SinkHealth): number {
    const { monotonicMs, epochMs } = this.#clock();
    const { serverOffsetMs, outage, lastPoll } = this.source;
    const serverMs = serverOffsetMs === undefined ? epochMs : monotonicMs + serverOffsetMs;
    const unconfirmedMs = oldestAtMs === undefined ? 0 : Math.max(0, serverMs - oldestAtMs);
    const withoutPollMs = outage === undefined ? 0 : monotonicMs - (lastPoll ?? this.started).monotonicMs;
    return Math.max(unconfirmedMs, withoutPollMs);
  }

  handle(event: TelemetryEvent): void {
    dispatch(this.#global, event);
    const sink = 'sink' in event ? this.sinks.get(event.sink) : undefined;
    if (sink !== undefined) dispatch(this.#perSink, event, sink);
  }

  readonly #global: Handlers = {
    'daemon.start': (event) => this.#configure(event),
    'tls.certificate': (event) => {
      this.#certificates.set(`${event.peer} ${event.whose}`, event);
    },
    'source.request': ({ after }) => {
      this.source.requests.set(after, this.#clock());
    },
    'source.response': ({ after }) => {
      this.source.requests.delete(after);
    },
    'source.page': (event) => this.#pageRead(event),
    'source.retry': ({ reason, detail }) => {
      const { source } = this;
      // A rejected key that is tried again is still rejected.
      if (source.key !== 'refused') source.outage = this.#continued(source.outage, 'failing', reason, detail);
    },
    'source.refused': ({ detail }) => {
      this.source.key = 'refused';
      this.source.outage = this.#continued(this.source.outage, 'refused', 'auth', detail);
    },
    'source.unreadable': ({ after, detail }) => {
      const since = this.source.unreadable.get(after)?.since ?? this.#clock();
      this.source.unreadable.set(after, { since, detail });
    },
  };

  readonly #perSink: Handlers<[SinkHealth]> = {
    'pipeline.start': ({ cursor, after }, sink) => {
      // The new pipeline reports what it waits for; see above for the outage.
      sink.oldestAtMs = undefined;
      sink.cursor = cursor;
      sink.head ??= after;
      sink.isOutageInherited = sink.outage !== undefined;
    },
    'pipeline.history_check': ({ result, id }, sink) => {
      // Only `cursor set` clears it, and that needs a restart.
      if (result === 'rewritten') sink.rewritten ??= { since: this.#clock(), id };
    },
    'pipeline.waiting': ({ oldestAtMs }, sink) => {
      sink.oldestAtMs = oldestAtMs;
    },
    'pipeline.delivered': (event, sink) => this.#delivered(event, sink),
    'pipeline.retry': ({ reason, detail }, sink) => this.#sinkFails(sink, 'failing', reason, detail),
    'pipeline.parked': ({ reason, detail }, sink) => this.#sinkFails(sink, 'parked', reason, detail),
    'pipeline.failed': ({ detail }, sink) => this.#sinkFails(sink, 'failed', undefined, detail),
    'pipeline.recovered': (_, sink) => {
      sink.outage = undefined;
    },
    'pipeline.unparked': (_, sink) => {
      sink.outage = undefined;
    },
    'pipeline.set_aside': (_, sink) => {
      sink.deadLettered += 1;
      sink.stateOutage = undefined;
    },
    'checkpoint.saved': ({ after }, sink) => {
      sink.cursor = after;
      sink.stateOutage = undefined;
    },
    'evidence.sealed': (seal, sink) => {
      sink.seal = seal;
    },
    'checkpoint.recovered': (_, sink) => {
      sink.stateOutage = undefined;
    },
    'checkpoint.retry': ({ detail }, sink) => {
      sink.stateOutage = this.#continued(sink.stateOutage, 'paused', undefined, detail);
    },
  };

  #configure({ version, sinks, pollEveryMs, restarted }: EventOf<'daemon.start'>): void {
    this.version = version;
    this.pollEveryMs = pollEveryMs;
    // A replaced source does not report the end of its requests.
    this.source.requests.clear();
    // The restarted pipelines report again what is unreadable; if none restarts, what is known stays.
    if (restarted.length > 0 || sinks.length < this.sinks.size) this.source.unreadable.clear();
    for (const [key, { peer }] of this.#certificates)
      if (peer !== 'source' && (restarted.includes(peer.slice(5)) || !sinks.includes(peer.slice(5))))
        this.#certificates.delete(key);
    this.sinks = new Map(sinks.map((name) => [name, this.sinks.get(name) ?? unknownSink()]));
  }

  #pageRead({ after, serverAheadMs }: EventOf<'source.page'>): void {
    const { source } = this;
    const at = this.#clock();
    source.lastPoll = at;
    source.key = 'accepted';
    source.outage = undefined;
    source.unreadable.delete(after);
    if (serverAheadMs === undefined) return;
    source.serverAheadMs = serverAheadMs;
    source.serverOffsetMs = at.epochMs + serverAheadMs - at.monotonicMs;
  }

  #delivered({ records, last, lastAtMs }: EventOf<'pipeline.delivered'>, sink: SinkHealth): void {
    sink.lastSuccess = this.#clock();
    if (sink.isOutageInherited) sink.outage = undefined;
    sink.delivered += records;
    sink.rate.add(records, sink.lastSuccess.monotonicMs);
    if (sink.head !== undefined && last < sink.head) return;
    sink.head = last;
    sink.headAtMs = lastAtMs;
  }

  #sinkFails(
    sink: SinkHealth,
    kind: 'failing' | 'parked' | 'failed',
    reason: Reason | undefined,
    detail: string,
  ): void {
    sink.isOutageInherited = false;
    sink.outage = this.#continued(sink.outage, kind, reason, detail);
  }

  /** The outage with its newest report; it began with its first. */
  #continued<Kind extends string>(
    before: Outage<Kind> | undefined,
    kind: Kind,
    reason: Reason | undefined,
    detail: string,
  ): Outage<Kind> {
    return { kind, reason, detail, since: before?.since ?? this.#clock(), attempts: (before?.attempts ?? 0) + 1 };
  }
}
