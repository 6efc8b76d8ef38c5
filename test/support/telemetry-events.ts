import type { EventName, EventOf } from '../../src/telemetry/telemetry-event.ts';

/** One event of each name. */
type Samples = { readonly [N in EventName]: EventOf<N> };

const failing = { reason: 'network', detail: 'no answer', attempt: 1, waitMs: 10 } as const;
const sink = 'splunk';

export const samples: Samples = {
  'source.request': { event: 'source.request', after: 1n },
  'source.response': { event: 'source.response', after: 1n, status: 200, elapsedMs: 1 },
  'source.page': { event: 'source.page', after: 1n, events: 2, newEvents: 1, bytes: 800, serverAheadMs: 3 },
  'source.visible': { event: 'source.visible', delaysMs: [1_000] },
  'source.retry': { event: 'source.retry', ...failing },
  'source.recovered': { event: 'source.recovered', attempts: 2, outageMs: 1_000 },
  'source.refused': {
    event: 'source.refused',
    status: 403,
    detail: 'answered 403.',
    causes: ['one', 'two'],
    waitMs: 300_000,
  },
  'source.accepted': { event: 'source.accepted' },
  'source.stopped': { event: 'source.stopped', reason: 'address', detail: 'no tenant' },
  'source.key_scope': { event: 'source.key_scope', scope: 'restricted', detail: 'as required' },
  'source.unreadable': { event: 'source.unreadable', after: 1n, detail: 'no JSON' },
  'source.cursor_mismatch': { event: 'source.cursor_mismatch', after: 1n, answered: '9', greatest: 8n },
  'source.count': { event: 'source.count', count: 500, detail: 'the last page was large' },
  'source.drift': { event: 'source.drift', fields: { 'unknown:x': 2 }, firstSeen: ['unknown:x'] },
  'source.unknown_actions': { event: 'source.unknown_actions', actions: { 'gizmo.x': 2 }, firstSeen: ['gizmo.x'] },
  'pipeline.start': { event: 'pipeline.start', sink, after: 9n, cursor: 7n, from: 'checkpoint' },
  'pipeline.history_check': { event: 'pipeline.history_check', sink, id: 9n, result: 'rewritten' },
  'pipeline.polling': { event: 'pipeline.polling', sink },
  'pipeline.encoded': { event: 'pipeline.encoded', sink, records: 2, elapsedMs: 1 },
  'pipeline.poll': { event: 'pipeline.poll', sink, newEvents: 2 },
  'pipeline.waiting': { event: 'pipeline.waiting', sink, oldestAtMs: undefined },
  'pipeline.delivered': { event: 'pipeline.delivered', sink, records: 2, last: 9n, elapsedMs: 12.3456, lastAtMs: 5 },
  'pipeline.filtered': { event: 'pipeline.filtered', sink, events: 2 },
  'pipeline.late': { event: 'pipeline.late', sink, events: 2, first: 3n },
  'pipeline.missed': { event: 'pipeline.missed', sink, events: 2, first: 3n, last: 5n },
  'pipeline.retry': { event: 'pipeline.retry', sink, ...failing },
  'pipeline.recovered': { event: 'pipeline.recovered', sink, attempts: 2, outageMs: 1_000 },
  'pipeline.parked': { event: 'pipeline.parked', sink, reason: 'auth', detail: 'bad token' },
  'pipeline.unparked': { event: 'pipeline.unparked', sink, outageMs: 1_000 },
  'pipeline.failed': { event: 'pipeline.failed', sink, detail: 'the reader is gone' },
  'pipeline.set_aside': { event: 'pipeline.set_aside', sink, id: 9n, reason: 'malformed', detail: 'no' },
  'pipeline.breaker': { event: 'pipeline.breaker', sink, refused: 100 },
  'pipeline.gave_up': { event: 'pipeline.gave_up', sink, waitingFor: 'sink', detail: 'no answer', patienceMs: 1_000 },
  'pipeline.progress': {
    event: 'pipeline.progress',
    sink,
    events: 2,
    perSecond: 1.234,
    reached: '2026-01-01T00:00:00.000Z',
    leftSeconds: 9,
  },
  'pipeline.done': { event: 'pipeline.done', sink, after: 9n },
  'checkpoint.saved': { event: 'checkpoint.saved', sink, after: 9n, elapsedMs: 1 },
  'checkpoint.retry': { event: 'checkpoint.retry', sink, detail: 'ENOSPC', attempt: 1, waitMs: 10 },
  'checkpoint.recovered': { event: 'checkpoint.recovered', sink, outageMs: 1_000 },
  'checkpoint.fallback': { event: 'checkpoint.fallback', sink, detail: 'the older generation' },
  'checkpoint.orphan': { event: 'checkpoint.orphan', sink },
  'evidence.sealed': {
    event: 'evidence.sealed',
    tenant: 'acme',
    sink,
    seq: 3,
    sha256: 'ab'.repeat(32),
    treeSize: 40,
    atMs: 1_000,
    everyMs: 60_000,
  },
  'evidence.unsent': { event: 'evidence.unsent', sink, target: 'lake', detail: 'no answer' },
  'evidence.sent': { event: 'evidence.sent', sink, target: 'lake', seq: 3 },
  'sink.warning': { event: 'sink.warning', sink, topic: 'tls', detail: 'expires soon' },
  'sink.untimed': { event: 'sink.untimed', sink, events: 1 },
  'sink.info': { event: 'sink.info', sink, topic: 'proof_of_delivery', detail: 'acknowledged' },
  'tls.certificate': { event: 'tls.certificate', peer: 'source', whose: 'server', endsAtMs: 5_000 },
  'telemetry.listening': { event: 'telemetry.listening', address: '127.0.0.1:9464' },
  'telemetry.failed': { event: 'telemetry.failed', detail: 'EADDRINUSE' },
  'telemetry.export_failed': { event: 'telemetry.export_failed', signal: 'metrics', detail: 'no answer' },
  'telemetry.export_recovered': { event: 'telemetry.export_recovered', signal: 'metrics' },
  'log.dropped': { event: 'log.dropped', lines: 7 },
  'daemon.start': startOf(sink),
  'daemon.warning': { event: 'daemon.warning', topic: 'configuration', detail: 'readable by others' },
  'daemon.stopping': { event: 'daemon.stopping', signal: 'SIGTERM' },
  'daemon.stopped': { event: 'daemon.stopped', pending: [] },
};

/** The first start with these sinks. */
export function startOf(...sinks: readonly string[]): EventOf<'daemon.start'> {
  return { event: 'daemon.start', version: '1', sinks, pollEveryMs: 15_000, reload: false, restarted: sinks };
}
