import type { Cursor } from '../event/event.ts';
import type { Reason } from '../lib/verdict.ts';

/**
 * All that a source, route, sink or the daemon ever reports. One value makes one log line and moves its instruments,
 * so that logs and metrics can't drift apart. No secret is ever a member. Text from outside passes `printable`.
 */
export type TelemetryEvent =
  // source
  /** A request goes out; `source.response` is its end, however it ends, unless the process stops. */
  | { event: 'source.request'; after: Cursor }
  | { event: 'source.response'; after: Cursor; status: number | Reason; elapsedMs: number }
  /** A good poll. `fresh`: with ids never fetched before; `serverAheadMs`: the server's clock less this machine's. */
  | { event: 'source.page'; after: Cursor; events: number; fresh: number; bytes: number; serverAheadMs?: number }
  /** How long events took from `createdAt` to the first page that showed them, a poll's interval included. */
  | { event: 'source.visible'; delaysMs: readonly number[] }
  | { event: 'source.retry'; reason: Reason; detail: string; attempt: number; waitMs: number }
  | { event: 'source.recovered'; attempts: number; outageMs: number }
  | { event: 'source.refused'; status: number; detail: string; causes: readonly string[] }
  | { event: 'source.accepted' }
  | { event: 'source.stopped'; reason: Reason; detail: string }
  | { event: 'source.key_scope'; scope: 'restricted' | 'unknown'; detail: string }
  | { event: 'source.unreadable'; after: Cursor; detail: string }
  | { event: 'source.cursor_mismatch'; after: Cursor; answered: string; greatest: Cursor }
  | { event: 'source.count'; count: number; why: string }
  /** Events, read for the first time, that are not as the API documents them, by field; `news`: never told before. */
  | { event: 'source.drift'; fields: Readonly<Record<string, number>>; firstSeen: readonly string[] }
  /** The same, by actions that no row of the table of actions names. */
  | { event: 'source.unknown_actions'; actions: Readonly<Record<string, number>>; firstSeen: readonly string[] }
  // route
  /** `after`: the greatest id it has; `cursor`: the checkpoint's `after`. */
  | { event: 'pipeline.start'; sink: string; after: Cursor; cursor: Cursor; from: Start }
  /** The newest delivered event has another text now, or is gone while older ones are there. */
  | { event: 'pipeline.history_check'; sink: string; id: Cursor; result: 'there' | 'rewritten' | 'gone' }
  | { event: 'pipeline.polling'; sink: string }
  | { event: 'pipeline.poll'; sink: string; fresh: number }
  | { event: 'pipeline.encoded'; sink: string; records: number; elapsedMs: number }
  /** `oldestAtMs`: when the oldest event seen and not confirmed was created, epoch; undefined where there is none. */
  | { event: 'pipeline.waiting'; sink: string; oldestAtMs: number | undefined }
  | { event: 'pipeline.delivered'; sink: string; records: number; last: Cursor; elapsedMs: number; lastAtMs?: number }
  | { event: 'pipeline.filtered'; sink: string; events: number }
  | { event: 'pipeline.late'; sink: string; events: number; first: Cursor }
  | { event: 'pipeline.retry'; sink: string; reason: Reason; detail: string; attempt: number; waitMs: number }
  | { event: 'pipeline.recovered'; sink: string; attempts: number; outageMs: number }
  | { event: 'pipeline.parked'; sink: string; reason: Reason; detail: string }
  | { event: 'pipeline.unparked'; sink: string; outageMs: number }
  /** The destination is gone for good: the route ends. */
  | { event: 'pipeline.failed'; sink: string; detail: string }
  | { event: 'pipeline.set_aside'; sink: string; id: Cursor; reason: Reason; detail: string }
  | { event: 'pipeline.breaker'; sink: string; refused: number }
  | { event: 'pipeline.gave_up'; sink: string; waitingFor: 'source' | 'sink'; detail: string; patienceMs: number }
  /** `reached`: when the last event delivered was created, ISO 8601. */
  | {
      event: 'pipeline.progress';
      sink: string;
      events: number;
      perSecond: number;
      reached?: string;
      leftSeconds?: number;
    }
  | { event: 'pipeline.done'; sink: string; after: Cursor }
  | { event: 'checkpoint.saved'; sink: string; after: Cursor; elapsedMs: number }
  | { event: 'checkpoint.retry'; sink: string; detail: string; attempt: number; waitMs: number }
  | { event: 'checkpoint.recovered'; sink: string; outageMs: number }
  | { event: 'checkpoint.fallback'; sink: string; detail: string }
  | { event: 'checkpoint.orphan'; sink: string }
  // sink: something a person should know that is no verdict
  | { event: 'sink.warning'; sink: string; topic: string; detail: string }
  /** Events delivered without a time of their own; counted, a warning says it once. */
  | { event: 'sink.untimed'; sink: string; events: number }
  | { event: 'sink.info'; sink: string; topic: string; detail: string }
  /** Seen on a connection. `peer`: `source`, or `sink/NAME`. */
  | { event: 'tls.certificate'; peer: string; whose: 'server' | 'client'; endsAtMs: number }
  // telemetry
  | { event: 'telemetry.listening'; address: string }
  | { event: 'telemetry.failed'; detail: string }
  | { event: 'telemetry.export_failed'; signal: 'metrics' | 'traces'; detail: string }
  | { event: 'telemetry.export_recovered'; signal: 'metrics' | 'traces' }
  // daemon
  /**
   * At the start and, with `reload`, each time the configuration was read again. `pollEveryMs`: the schedule's longest
   * interval. `restarted`: sinks whose routes begin now.
   */
  | {
      event: 'daemon.start';
      version: string;
      sinks: readonly string[];
      pollEveryMs: number;
      reload: boolean;
      restarted: readonly string[];
    }
  | { event: 'daemon.warning'; topic: string; detail: string }
  | { event: 'daemon.stopping'; signal: string }
  | { event: 'daemon.stopped'; pending: readonly string[] };

/** Where a route begins. */
export type Start = 'checkpoint' | 'beginning' | 'now' | 'id' | 'time';

/** Takes a happening; must neither throw nor wait. */
export type Emit = (happening: TelemetryEvent) => void;
