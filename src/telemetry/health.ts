import type { Reason } from '../lib/verdict.ts';
import {
  type Certificate,
  type Instant,
  type Outage,
  type SinkHealth,
  type SourceHealth,
  unknownSink,
} from './health-state.ts';
import type { TelemetryEvent } from './telemetry-event.ts';

export type { Certificate, Instant, Outage, SinkHealth, SourceHealth } from './health-state.ts';

/**
 * What the happenings add up to: how each part fares just now. Pure but for the clock it is given; nothing here decides
 * anything for the routes.
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
    trouble: undefined,
    unreadable: new Map(),
    asking: new Map(),
    serverAheadMs: undefined,
    serverOffsetMs: undefined,
    fetched: 0,
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

  /** The newest seen of each peer. */
  get certificates(): Iterable<Certificate> {
    return this.#certificates.values();
  }

  /** Age of the oldest event seen and not confirmed; while polls fail at least that of the last good one. */
  lagMs({ oldestAtMs }: SinkHealth): number {
    const { monotonicMs, epochMs } = this.#clock();
    const { serverOffsetMs, trouble, lastPoll } = this.source;
    const serverMs = serverOffsetMs === undefined ? epochMs : monotonicMs + serverOffsetMs;
    const waited = oldestAtMs === undefined ? 0 : Math.max(0, serverMs - oldestAtMs);
    const silent = trouble === undefined ? 0 : monotonicMs - (lastPoll ?? this.started).monotonicMs;
    return Math.max(waited, silent);
  }

  handle(h: TelemetryEvent): void {
    if (h.event === 'daemon.start') this.#begin(h);
    else if (h.event === 'tls.certificate') this.#certificates.set(`${h.peer} ${h.whose}`, h);
    else if ('sink' in h) {
      const sink = this.sinks.get(h.sink);
      if (sink !== undefined) this.#sink(sink, h);
    } else this.#source(h);
  }

  #begin({ version, sinks, pollEveryMs, restarted }: Extract<TelemetryEvent, { event: 'daemon.start' }>): void {
    this.version = version;
    this.pollEveryMs = pollEveryMs;
    // Of a source that was replaced nobody hears how its requests ended.
    this.source.asking.clear();
    // What nobody asks for any more is forgotten; where nothing changed, all is asked for as before.
    if (restarted.length > 0 || sinks.length < this.sinks.size) this.source.unreadable.clear();
    for (const [key, { peer }] of this.#certificates)
      if (peer !== 'source' && (restarted.includes(peer.slice(5)) || !sinks.includes(peer.slice(5))))
        this.#certificates.delete(key);
    this.sinks = new Map(sinks.map((name) => [name, this.sinks.get(name) ?? unknownSink()]));
  }

  #source(h: TelemetryEvent): void {
    const { source } = this;
    switch (h.event) {
      case 'source.request':
        source.asking.set(h.after, this.#clock());
        break;
      case 'source.response':
        source.asking.delete(h.after);
        break;
      case 'source.page': {
        const at = this.#clock();
        source.lastPoll = at;
        source.key = 'accepted';
        source.trouble = undefined;
        source.unreadable.delete(h.after);
        source.fetched += h.fresh;
        if (h.serverAheadMs === undefined) break;
        source.serverAheadMs = h.serverAheadMs;
        source.serverOffsetMs = at.epochMs + h.serverAheadMs - at.monotonicMs;
        break;
      }
      case 'source.retry':
        // A refused key that is waited out is asked about again: that is still a refusal.
        if (source.key !== 'refused') source.trouble = this.#still(source.trouble, 'failing', h.reason, h.detail);
        break;
      case 'source.refused':
        source.key = 'refused';
        source.trouble = this.#still(source.trouble, 'refused', 'auth', h.detail);
        break;
      case 'source.unreadable': {
        const since = source.unreadable.get(h.after)?.since ?? this.#clock();
        source.unreadable.set(h.after, { since, detail: h.detail });
        break;
      }
    }
  }

  #sink(sink: SinkHealth, h: Extract<TelemetryEvent, { sink: string }>): void {
    switch (h.event) {
      case 'pipeline.start':
        // What the route before it waited for, this one tells itself.
        sink.oldestAtMs = undefined;
        sink.cursor = h.cursor;
        sink.head ??= h.after;
        break;
      case 'pipeline.history_check':
        if (h.result === 'rewritten') sink.rewritten ??= { since: this.#clock(), id: h.id };
        else sink.rewritten = undefined;
        break;
      case 'pipeline.waiting':
        sink.oldestAtMs = h.oldestAtMs;
        break;
      case 'pipeline.delivered':
        sink.lastSuccess = this.#clock();
        sink.trouble = undefined;
        sink.delivered += h.records;
        sink.rate.add(h.records, sink.lastSuccess.monotonicMs);
        if (sink.head !== undefined && h.last < sink.head) break;
        sink.head = h.last;
        sink.headAtMs = h.lastAtMs;
        break;
      case 'pipeline.retry':
        sink.trouble = this.#still(sink.trouble, 'failing', h.reason, h.detail);
        break;
      case 'pipeline.parked':
        sink.trouble = this.#still(sink.trouble, 'parked', h.reason, h.detail);
        break;
      case 'pipeline.failed':
        sink.trouble = this.#still(sink.trouble, 'gone', undefined, h.detail);
        break;
      case 'pipeline.recovered':
      case 'pipeline.unparked':
        sink.trouble = undefined;
        break;
      case 'pipeline.set_aside':
        sink.setAside += 1;
        sink.stateTrouble = undefined;
        break;
      case 'checkpoint.saved':
        sink.cursor = h.after;
        sink.stateTrouble = undefined;
        break;
      case 'checkpoint.recovered':
        sink.stateTrouble = undefined;
        break;
      case 'checkpoint.retry':
        sink.stateTrouble = this.#still(sink.stateTrouble, 'state', undefined, h.detail);
        break;
    }
  }

  #still<Kind extends string>(
    before: Outage<Kind> | undefined,
    kind: Kind,
    reason: Reason | undefined,
    detail: string,
  ): Outage<Kind> {
    return { kind, reason, detail, since: before?.since ?? this.#clock(), attempts: (before?.attempts ?? 0) + 1 };
  }
}
