// One table, so that a telemetry event is one entry; its length is the number of events.
import type { Cursor } from '../event/event.ts';
import { type Reason, reasons } from '../lib/verdict.ts';
import type { MetricRecorder } from './metric-table.ts';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** Where a pipeline starts. */
type Start = 'checkpoint' | 'beginning' | 'now' | 'id' | 'time';

/** What one telemetry event means; `M` holds its members. */
export interface Entry<M> {
  readonly level: LogLevel | ((members: M) => LogLevel);
  readonly message: string | ((members: M) => string);
  /** Key of a lasting condition: it is logged when it begins and then every five minutes. */
  readonly lasts?: (members: M) => string | undefined;
  /** Keys of the conditions that end with this event. */
  readonly ends?: (members: M) => readonly string[];
  /** Counters and histograms that it moves; gauges are read from Health. */
  readonly metrics?: (members: M, metrics: MetricRecorder) => void;
}

/**
 * Every telemetry event: one emitted value is one log line and moves its metrics, so that logs and metrics cannot diverge.
 * Health, heartbeat, tracing and sd_notify subscribe by name (`Handlers` in telemetry-event.ts). Members hold no secret;
 * text from outside has passed `printable`. Names and members are public (docs/logs.md).
 */
export const catalog = {
  // Source
  'source.request': event<{ after: Cursor }>({
    level: 'trace',
    message: ({ after }) => `requesting events after ${after}`,
  }),
  /** The end of a request, however it ends, unless the process stops. */
  'source.response': event<{ after: Cursor; status: number | Reason; elapsedMs: number }>({
    level: 'trace',
    message: ({ status }) => `API response: ${status}`,
    metrics: ({ status }, { add }) => add('forwarder_source_requests_total', 1, { status: String(status) }),
  }),
  /** A good poll. `newEvents`: with ids never fetched before; `serverAheadMs`: the server's clock minus the local one. */
  'source.page': event<{ after: Cursor; events: number; newEvents: number; bytes: number; serverAheadMs?: number }>({
    level: 'debug',
    message: ({ events, after }) => `page of ${events} events after ${after}`,
    metrics: ({ newEvents }, { add }) => add('forwarder_events_fetched_total', newEvents),
  }),
  /** How long each new event took from `createdAt` to the first page that returned it. */
  'source.visible': event<{ delaysMs: readonly number[] }>({
    level: 'trace',
    message: ({ delaysMs }) => `${delaysMs.length} events seen for the first time`,
    metrics: ({ delaysMs }, { record }) => {
      for (const ms of delaysMs) record('forwarder_event_visibility_seconds', ms / 1000);
    },
  }),
  'source.retry': event<{ reason: Reason; detail: string; attempt: number; waitMs: number }>({
    // A wrong address needs a person; a rejected key has its own event, `source.refused`.
    level: ({ reason }) => (reason === 'address' ? 'error' : reason === 'auth' ? 'debug' : 'warn'),
    message: ({ reason, waitMs, detail }) => {
      const what = reason === 'network' || reason === 'timeout' ? 'unreachable' : 'request failed';
      return `QA Sphere API ${what}, retrying in ${duration(waitMs)}: ${detail}`;
    },
    lasts: ({ reason }) => `source.retry ${reason}`,
  }),
  'source.recovered': event<{ attempts: number; outageMs: number }>({
    level: 'info',
    message: ({ outageMs }) => `QA Sphere API reachable again after ${duration(outageMs)}`,
    ends: () => [...reasons.map((reason) => `source.retry ${reason}`), 'source.unreadable'],
  }),
  /** `waitMs`: when the key is tried again (`onKeyRejected: wait`); absent: it is not. */
  'source.refused': event<{ status: number; detail: string; causes: readonly string[]; waitMs?: number }>({
    level: 'fatal',
    message: ({ detail, causes, waitMs }) => {
      const next = waitMs === undefined ? 'not retrying' : `retrying in ${duration(waitMs)}`;
      const list = causes.map((cause, i) => `${i + 1}) ${cause}`).join('; ');
      return `API key rejected (${detail.replace(/\.$/, '')}). Check the configuration; ${next}. Likely causes: ${list}`;
    },
    lasts: () => 'source.refused',
  }),
  'source.accepted': event({ level: 'info', message: 'API key accepted', ends: () => ['source.refused'] }),
  'source.stopped': event<{ reason: Reason; detail: string }>({
    level: 'fatal',
    message: ({ detail }) => `cannot read from QA Sphere: ${detail}`,
  }),
  'source.key_scope': event<{ scope: 'restricted' | 'unknown'; detail: string }>({
    level: ({ scope }) => (scope === 'restricted' ? 'debug' : 'info'),
    message: ({ detail }) => detail,
  }),
  'source.unreadable': event<{ after: Cursor; detail: string }>({
    level: 'error',
    message: ({ after, detail }) => `the page after event ${after} is unreadable; nothing moves past it: ${detail}`,
    lasts: () => 'source.unreadable',
  }),
  'source.cursor_mismatch': event<{ after: Cursor; answered: string; greatest: Cursor }>({
    level: 'debug',
    message: ({ answered, greatest }) =>
      `the page says after=${answered}, but its greatest id is ${greatest}; using the id`,
  }),
  'source.count': event<{ count: number; detail: string }>({
    level: 'debug',
    message: ({ count, detail }) => `requesting ${count} events per page: ${detail}`,
  }),
  /** New events that differ from the API's documentation, by field; `firstSeen`: fields not logged before. */
  'source.drift': event<{ fields: Readonly<Record<string, number>>; firstSeen: readonly string[] }>({
    level: ({ firstSeen }) => (firstSeen.length > 0 ? 'warn' : 'trace'),
    message: (members) => `events differ from the API documentation and are forwarded unchanged: ${names(members)}`,
    metrics: ({ fields }, { add }) => {
      for (const [field, events] of Object.entries(fields)) add('forwarder_schema_drift_total', events, { field });
    },
  }),
  /** New events whose action is not in the table of actions, by action. */
  'source.unknown_actions': event<{ actions: Readonly<Record<string, number>>; firstSeen: readonly string[] }>({
    level: ({ firstSeen }) => (firstSeen.length > 0 ? 'info' : 'trace'),
    message: (members) =>
      `unknown actions, classified by the words in their names (add them with actionsFile): ${names(members)}`,
    metrics: ({ actions }, { add }) => {
      for (const [action, events] of Object.entries(actions))
        add('forwarder_unknown_actions_total', events, { action });
    },
  }),

  // Pipeline
  /** `after`: the greatest id that is done; `cursor`: the checkpoint's `after`. */
  'pipeline.start': event<{ sink: string; after: Cursor; cursor: Cursor; from: Start }>({
    level: 'info',
    message: ({ sink, after, from }) => {
      if (from === 'checkpoint') return `${sink}: resuming after event ${after}`;
      return `${sink}: ${from === 'beginning' ? 'starting at the beginning of the log' : `starting after event ${after}`}`;
    },
  }),
  /** Whether the newest delivered event is still in the log as it was delivered. */
  'pipeline.history_check': event<{ sink: string; id: Cursor; result: 'unchanged' | 'rewritten' | 'missing' }>({
    level: ({ result }) => (result === 'rewritten' ? 'error' : result === 'missing' ? 'warn' : 'trace'),
    message: historyMessage,
    // An alarm for `rewritten` has no end in this process: only `cursor set` clears it.
    lasts: ({ sink, result }) => (result === 'unchanged' ? undefined : `pipeline.history_check ${sink} ${result}`),
    ends: ({ sink, result }) => (result === 'unchanged' ? [`pipeline.history_check ${sink} missing`] : []),
  }),
  'pipeline.polling': event<{ sink: string }>({ level: 'trace', message: ({ sink }) => `${sink}: poll started` }),
  'pipeline.poll': event<{ sink: string; newEvents: number }>({
    level: 'debug',
    message: ({ sink, newEvents }) => `${sink}: poll returned ${newEvents} new events`,
  }),
  'pipeline.encoded': event<{ sink: string; records: number; elapsedMs: number }>({
    level: 'trace',
    message: ({ sink, records }) => `${sink}: encoded ${records} records`,
  }),
  /** `oldestAtMs`: when the oldest event seen and not confirmed was created, epoch milliseconds; undefined if none. */
  'pipeline.waiting': event<{ sink: string; oldestAtMs: number | undefined }>({
    level: 'trace',
    message: ({ sink, oldestAtMs }) =>
      `${sink}: ${oldestAtMs === undefined ? 'everything read so far is confirmed' : 'waiting for confirmations'}`,
  }),
  'pipeline.delivered': event<{ sink: string; records: number; last: Cursor; elapsedMs: number; lastAtMs?: number }>({
    level: 'debug',
    message: ({ sink, records, last }) => `${sink}: delivered ${records} records up to event ${last}`,
    metrics: ({ sink, records, elapsedMs }, { add, record }) => {
      add('forwarder_events_delivered_total', records, { sink });
      record('forwarder_delivery_duration_seconds', elapsedMs / 1000, { sink });
    },
  }),
  'pipeline.filtered': event<{ sink: string; events: number }>({
    level: 'debug',
    message: ({ sink, events }) => `${sink}: filter excluded ${events} events`,
    metrics: ({ sink, events }, { add }) => add('forwarder_events_filtered_total', events, { sink }),
  }),
  'pipeline.late': event<{ sink: string; events: number; first: Cursor }>({
    level: 'info',
    message: ({ sink, events, first }) =>
      `${sink}: ${events} late events appeared behind the cursor, the first is ${first}`,
    metrics: ({ sink, events }, { add }) => add('forwarder_late_events_total', events, { sink }),
  }),
  /** Appeared at or behind the cursor later than `settle` allows: not delivered. */
  'pipeline.missed': event<{ sink: string; events: number; first: Cursor; last: Cursor }>({
    level: 'warn',
    message: ({ sink, events, first, last }) =>
      `${sink}: ${events} events appeared behind the cursor later than settle allows and were not delivered, ids ${first} to ${last}; deliver them with "replay --sink ${sink} --after ${first - 1n} --until ${last}" and raise settle`,
    metrics: ({ sink, events }, { add }) => add('forwarder_missed_events_total', events, { sink }),
  }),
  'pipeline.retry': event<{ sink: string; reason: Reason; detail: string; attempt: number; waitMs: number }>({
    level: 'warn',
    message: ({ sink, waitMs, detail }) => `${sink}: delivery failed, retrying in ${duration(waitMs)}: ${detail}`,
    lasts: ({ sink, reason }) => `pipeline.retry ${sink} ${reason}`,
    metrics: ({ sink, reason }, { add }) => add('forwarder_delivery_failures_total', 1, { sink, reason }),
  }),
  'pipeline.recovered': event<{ sink: string; attempts: number; outageMs: number }>({
    level: 'info',
    message: ({ sink, outageMs }) => `${sink}: delivering again after ${duration(outageMs)}`,
    ends: ({ sink }) => retriesOf(sink),
  }),
  'pipeline.parked': event<{ sink: string; reason: Reason; detail: string }>({
    level: 'error',
    message: ({ sink, detail }) =>
      `${sink}: parked until the cause is fixed; retrying every minute, no event is skipped: ${detail}`,
    lasts: ({ sink }) => `pipeline.parked ${sink}`,
    metrics: ({ sink, reason }, { add }) => add('forwarder_delivery_failures_total', 1, { sink, reason }),
  }),
  'pipeline.unparked': event<{ sink: string; outageMs: number }>({
    level: 'info',
    message: ({ sink, outageMs }) => `${sink}: no longer parked, delivering again after ${duration(outageMs)}`,
    ends: ({ sink }) => [`pipeline.parked ${sink}`, `pipeline.breaker ${sink}`, ...retriesOf(sink)],
  }),
  /** The destination is gone for good: the pipeline ends. */
  'pipeline.failed': event<{ sink: string; detail: string }>({
    level: 'info',
    message: ({ sink, detail }) => `${sink}: stopped for good: ${detail}`,
  }),
  'pipeline.set_aside': event<{ sink: string; id: Cursor; reason: Reason; detail: string }>({
    level: 'error',
    message: ({ sink, id, detail }) => `${sink}: event ${id} rejected and written to the dead letter: ${detail}`,
    metrics: ({ sink }, { add }) => add('forwarder_events_dead_lettered_total', 1, { sink }),
  }),
  'pipeline.breaker': event<{ sink: string; refused: number }>({
    level: 'error',
    message: ({ sink, refused }) =>
      `${sink}: ${refused} events in a row rejected; nothing more goes to the dead letter until one is accepted`,
    lasts: ({ sink }) => `pipeline.breaker ${sink}`,
  }),
  'pipeline.gave_up': event<{ sink: string; waitingFor: 'source' | 'sink'; detail: string; patienceMs: number }>({
    level: 'error',
    message: ({ sink, patienceMs, waitingFor, detail }) =>
      `${sink}: gave up after ${duration(patienceMs)} without progress, waiting for the ${waitingFor}: ${detail}`,
  }),
  /** `reached`: when the last delivered event was created, ISO 8601. */
  'pipeline.progress': event<{
    sink: string;
    events: number;
    perSecond: number;
    reached?: string;
    leftSeconds?: number;
  }>({
    level: 'info',
    message: ({ sink, events, perSecond }) => `${sink}: ${events} events so far, ${Math.round(perSecond)} per second`,
  }),
  'pipeline.done': event<{ sink: string; after: Cursor }>({
    level: 'info',
    message: ({ sink, after }) => `${sink}: complete up to event ${after}`,
  }),

  // Checkpoint
  'checkpoint.saved': event<{ sink: string; after: Cursor; elapsedMs: number }>({
    level: 'trace',
    message: ({ sink, after }) => `${sink}: checkpoint saved at ${after}`,
  }),
  'checkpoint.retry': event<{ sink: string; detail: string; attempt: number; waitMs: number }>({
    level: 'error',
    message: ({ sink, waitMs, detail }) =>
      `${sink}: paused, state cannot be written, retrying in ${duration(waitMs)}: ${detail}`,
    lasts: ({ sink }) => `checkpoint.retry ${sink}`,
  }),
  'checkpoint.recovered': event<{ sink: string; outageMs: number }>({
    level: 'info',
    message: ({ sink, outageMs }) => `${sink}: resumed after ${duration(outageMs)}, state can be written again`,
    ends: ({ sink }) => [`checkpoint.retry ${sink}`],
  }),
  'checkpoint.fallback': event<{ sink: string; detail: string }>({
    level: 'warn',
    message: ({ sink, detail }) => `${sink}: ${detail}`,
  }),
  'checkpoint.orphan': event<{ sink: string }>({
    level: 'warn',
    message: ({ sink }) =>
      `found a checkpoint of sink ${sink}, which is not configured; if it was renamed, run "cursor rename"`,
  }),

  // Evidence
  /** An interval of a sink was sealed. `sha256`: of its line; `treeSize`: events in the chain; `everyMs`: longest interval. */
  'evidence.sealed': event<{
    tenant: string;
    sink: string;
    seq: number;
    sha256: string;
    treeSize: number;
    atMs: number;
    everyMs: number;
  }>({
    level: 'debug',
    message: ({ sink, seq, treeSize }) => `${sink}: seal ${seq} written, ${treeSize} events sealed so far`,
  }),
  /** A seal could not be sent to a sink; it is sent later. */
  'evidence.unsent': event<{ sink: string; target: string; detail: string }>({
    level: 'warn',
    message: ({ sink, target, detail }) => `seals of ${sink} can't be sent to ${target}, trying again: ${detail}`,
    lasts: ({ sink, target }) => `evidence.unsent ${sink} ${target}`,
  }),
  'evidence.sent': event<{ sink: string; target: string; seq: number }>({
    level: 'trace',
    message: ({ sink, target, seq }) => `seal ${seq} of ${sink} sent to ${target}`,
    ends: ({ sink, target }) => [`evidence.unsent ${sink} ${target}`],
  }),

  // Sink
  'sink.warning': event<{ sink: string; topic: string; detail: string }>({
    level: 'warn',
    message: ({ sink, detail }) => `${sink}: ${detail}`,
  }),
  'sink.info': event<{ sink: string; topic: string; detail: string }>({
    level: 'info',
    message: ({ sink, detail }) => `${sink}: ${detail}`,
  }),
  'sink.untimed': event<{ sink: string; events: number }>({
    level: 'debug',
    message: ({ sink, events }) => `${sink}: ${events} events without a readable time`,
  }),
  /** Seen on a new connection. `peer`: `source`, or `sink/NAME`. */
  'tls.certificate': event<{ peer: string; whose: 'server' | 'client'; endsAtMs: number }>({
    level: 'trace',
    message: ({ peer, whose, endsAtMs }) =>
      `${peer}: ${whose} certificate expires at ${new Date(endsAtMs).toISOString()}`,
  }),

  // Telemetry itself
  'telemetry.listening': event<{ address: string }>({
    level: 'info',
    message: ({ address }) => `status and metrics at http://${address}`,
    ends: () => ['telemetry.failed'],
  }),
  'telemetry.failed': event<{ detail: string }>({
    level: 'error',
    message: ({ detail }) => `telemetry unavailable; delivery is not affected: ${detail}`,
    lasts: () => 'telemetry.failed',
  }),
  'telemetry.export_failed': event<{ signal: 'metrics' | 'traces'; detail: string }>({
    level: 'warn',
    message: ({ signal, detail }) => `OTLP export of ${signal} failed: ${detail}`,
    lasts: ({ signal }) => `telemetry.export_failed ${signal}`,
  }),
  'telemetry.export_recovered': event<{ signal: 'metrics' | 'traces' }>({
    level: 'info',
    message: ({ signal }) => `OTLP export of ${signal} works again`,
    ends: ({ signal }) => [`telemetry.export_failed ${signal}`],
  }),
  /** Logged once standard error is read again. `lines`: how many were dropped meanwhile. */
  'log.dropped': event<{ lines: number }>({
    level: 'warn',
    message: ({ lines }) => `${lines} log lines dropped because standard error was not read`,
  }),

  // Daemon
  /**
   * At the start and, with `reload`, after each reload. `pollEveryMs`: the schedule's longest interval; `restarted`: sinks
   * whose pipelines start now.
   */
  'daemon.start': event<{
    version: string;
    sinks: readonly string[];
    pollEveryMs: number;
    reload: boolean;
    restarted: readonly string[];
  }>({
    level: 'info',
    message: (members) =>
      members.reload
        ? reloadMessage(members)
        : `qasphere-siem-forwarder ${members.version} started with sinks: ${members.sinks.join(', ')}`,
    // A counter that begins with its first event hides that event from `increase`.
    metrics: ({ sinks }, { add }) => {
      for (const sink of sinks) {
        add('forwarder_events_delivered_total', 0, { sink });
        add('forwarder_events_filtered_total', 0, { sink });
        add('forwarder_events_dead_lettered_total', 0, { sink });
        add('forwarder_late_events_total', 0, { sink });
        add('forwarder_missed_events_total', 0, { sink });
        for (const reason of reasons) add('forwarder_delivery_failures_total', 0, { sink, reason });
      }
    },
  }),
  'daemon.warning': event<{ topic: string; detail: string }>({ level: 'warn', message: ({ detail }) => detail }),
  'daemon.stopping': event<{ signal: string }>({
    level: 'info',
    message: ({ signal }) => `${signal} received, finishing what is in flight`,
  }),
  'daemon.stopped': event<{ pending: readonly string[] }>({
    level: ({ pending }) => (pending.length === 0 ? 'info' : 'warn'),
    message: ({ pending }) =>
      pending.length === 0
        ? 'stopped'
        : `stopped before everything was confirmed; the rest is sent again at the next start: ${pending.join(', ')}`,
  }),
} as const;

function event<M = unknown>(entry: Entry<M>): Entry<M> {
  return entry;
}

function reloadMessage({ sinks, restarted }: { sinks: readonly string[]; restarted: readonly string[] }): string {
  const unchanged = sinks.filter((sink) => !restarted.includes(sink));
  const parts = [
    ...(restarted.length > 0 ? [`restarted: ${restarted.join(', ')}`] : []),
    ...(unchanged.length > 0 ? [`unchanged: ${unchanged.join(', ')}`] : []),
  ];
  return `configuration reloaded; ${parts.join('; ')}`;
}

function historyMessage({ sink, id, result }: { sink: string; id: Cursor; result: string }): string {
  if (result === 'unchanged') return `${sink}: event ${id}, the newest delivered, is unchanged`;
  const what =
    result === 'missing'
      ? `event ${id}, the newest delivered, is missing from the audit log while older events exist`
      : `event ${id} is no longer the event that was delivered`;
  return `${sink}: ${what}. If the tenant was restored from a backup, ids are used again: compare the SIEM with QA Sphere, then set the cursor with "cursor set ${sink} ID"; no event is skipped`;
}

const retriesOf = (sink: string) => reasons.map((reason) => `pipeline.retry ${sink} ${reason}`);

const names = ({ firstSeen }: { readonly firstSeen: readonly string[] }) =>
  firstSeen.length > 0 ? firstSeen.join(', ') : 'none that is new';

/** For example `250 ms`, `4 s`, `5 min`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}
