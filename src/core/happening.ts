import type { Cursor } from './event.ts';
import type { Reason } from './verdict.ts';

/**
 * All that a source, route, sink or the daemon ever reports. One value makes one log line and moves its instruments,
 * so that logs and metrics can't drift apart. No secret is ever a member. Text from outside passes `printable`.
 */
export type Happening =
  // source
  | { event: 'source.request'; status: number | Reason; elapsedMs: number }
  | { event: 'source.page'; after: Cursor; events: number; bytes: number }
  | { event: 'source.retry'; reason: Reason; detail: string; attempt: number; waitMs: number }
  | { event: 'source.recovered'; attempts: number; outageMs: number }
  | { event: 'source.refused'; status: number; detail: string; causes: readonly string[] }
  | { event: 'source.accepted' }
  | { event: 'source.stopped'; reason: Reason; detail: string }
  | { event: 'source.restriction'; breadth: 'restricted' | 'unknown'; detail: string }
  | { event: 'source.unreadable'; after: Cursor; detail: string }
  | { event: 'source.cursor_mismatch'; after: Cursor; answered: string; greatest: Cursor }
  | { event: 'source.count'; count: number; why: string }
  // route
  | { event: 'route.start'; sink: string; after: Cursor; from: 'checkpoint' | 'beginning' | 'now' | 'id' | 'time' }
  /** The newest delivered event has another text now, or is gone while older ones are there. */
  | { event: 'route.newest'; sink: string; id: Cursor; fate: 'there' | 'rewritten' | 'gone' }
  | { event: 'route.poll'; sink: string; fresh: number }
  | { event: 'route.delivered'; sink: string; records: number; last: Cursor; elapsedMs: number; lastAtMs?: number }
  | { event: 'route.filtered'; sink: string; events: number }
  | { event: 'route.late'; sink: string; events: number; first: Cursor }
  | { event: 'route.retry'; sink: string; reason: Reason; detail: string; attempt: number; waitMs: number }
  | { event: 'route.recovered'; sink: string; attempts: number; outageMs: number }
  | { event: 'route.parked'; sink: string; reason: Reason; detail: string }
  | { event: 'route.unparked'; sink: string }
  | { event: 'route.set_aside'; sink: string; id: Cursor; reason: Reason; detail: string }
  | { event: 'route.breaker'; sink: string; refused: number }
  | { event: 'route.gave_up'; sink: string; waitingFor: 'source' | 'sink'; detail: string; patienceMs: number }
  | { event: 'route.progress'; sink: string; events: number; perSecond: number }
  | { event: 'route.done'; sink: string; after: Cursor }
  | { event: 'checkpoint.saved'; sink: string; after: Cursor }
  | { event: 'checkpoint.retry'; sink: string; detail: string; attempt: number; waitMs: number }
  | { event: 'checkpoint.fallback'; sink: string; detail: string }
  | { event: 'checkpoint.orphan'; sink: string }
  // sink: something a person should know that is no verdict
  | { event: 'sink.warning'; sink: string; topic: string; detail: string }
  /** Events delivered without a time of their own; counted, a warning says it once. */
  | { event: 'sink.untimed'; sink: string; events: number }
  | { event: 'sink.info'; sink: string; topic: string; detail: string }
  // daemon
  | { event: 'daemon.start'; version: string; sinks: readonly string[] }
  | { event: 'daemon.warning'; topic: string; detail: string }
  | { event: 'daemon.stopping'; signal: string }
  | { event: 'daemon.stopped'; behind: readonly string[] };

/** Takes a happening; must neither throw nor wait. */
export type Observe = (happening: Happening) => void;
