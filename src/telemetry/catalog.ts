import { reasons } from '../lib/verdict.ts';
import type { TelemetryEvent } from './telemetry-event.ts';

export interface Described {
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
  readonly message: string;
  /** A condition that lasts: told once in a while under this key. */
  readonly lasts?: string;
  /** Conditions that end with this. */
  readonly ends?: readonly string[];
}

/** The words for a happening, and how loud they are. */
export function describe(h: TelemetryEvent): Described {
  switch (h.event) {
    case 'source.request':
      return { level: 'trace', message: `asks the API for what comes after ${h.after}` };
    case 'source.response':
      return { level: 'trace', message: `the API answered: ${h.status}` };
    case 'source.page':
      return { level: 'debug', message: `page of ${h.events} events after ${h.after}` };
    case 'source.visible':
      return { level: 'trace', message: `${h.delaysMs.length} events were seen for the first time` };
    case 'source.retry':
      return {
        // A wrong address does not pass by itself, whatever is tried; a refused key is told as what it is.
        level: h.reason === 'address' ? 'error' : h.reason === 'auth' ? 'debug' : 'warn',
        message: `the source is not to be had, trying again: ${h.detail}`,
        lasts: `source.retry ${h.reason}`,
      };
    case 'source.recovered':
      return {
        level: 'info',
        message: `the source is back after ${seconds(h.outageMs)}`,
        ends: [...reasons.map((reason) => `source.retry ${reason}`), 'source.unreadable'],
      };
    case 'source.refused':
      return {
        level: 'fatal',
        message: `QA Sphere refuses the API key (${h.detail}) This is a misconfiguration, it is not retried. Likely causes: ${h.causes.map((cause, i) => `${i + 1}) ${cause}`).join('; ')}`,
        lasts: 'source.refused',
      };
    case 'source.accepted':
      return { level: 'info', message: 'QA Sphere accepts the API key', ends: ['source.refused'] };
    case 'source.stopped':
      return { level: 'fatal', message: `QA Sphere can't be read: ${h.detail}` };
    case 'source.key_scope':
      return { level: h.scope === 'restricted' ? 'debug' : 'info', message: h.detail };
    case 'source.unreadable':
      return {
        level: 'error',
        message: `nothing after ${h.after} can be read: ${h.detail}`,
        lasts: 'source.unreadable',
      };
    case 'source.cursor_mismatch':
      return {
        level: 'debug',
        message: `the answer says after=${h.answered}, its greatest id is ${h.greatest}: going by the id`,
      };
    case 'source.count':
      return { level: 'debug', message: `asking for ${h.count} events a page: ${h.why}` };
    case 'source.drift':
      return {
        level: h.firstSeen.length > 0 ? 'warn' : 'trace',
        message: `events are not as the API documents them, and are forwarded as they are: ${names(h)}`,
      };
    case 'source.unknown_actions':
      return {
        level: h.firstSeen.length > 0 ? 'info' : 'trace',
        message: `no row of the table of actions names these, so their words say what they mean (add them with actionsFile): ${names(h)}`,
      };
    case 'pipeline.start':
      return { level: 'info', message: `${h.sink} goes on after event ${h.after} (${h.from})` };
    case 'pipeline.history_check':
      return describeNewest(h);
    case 'pipeline.polling':
      return { level: 'trace', message: `${h.sink}: a poll begins` };
    case 'pipeline.encoded':
      return { level: 'trace', message: `${h.sink}: made ${h.records} records` };
    case 'pipeline.poll':
      return { level: 'debug', message: `${h.sink}: poll brought ${h.fresh} new events` };
    case 'pipeline.waiting':
      return {
        level: 'trace',
        message: `${h.sink}: ${h.oldestAtMs === undefined ? 'all that was read is confirmed' : 'waits for confirmations'}`,
      };
    case 'pipeline.delivered':
      return { level: 'debug', message: `${h.sink}: delivered ${h.records} records up to ${h.last}` };
    case 'pipeline.filtered':
      return { level: 'debug', message: `${h.sink}: ${h.events} events filtered out` };
    case 'pipeline.late':
      return {
        level: 'info',
        message: `${h.sink}: ${h.events} events appeared behind the cursor, the first is ${h.first}`,
      };
    case 'pipeline.retry':
      return {
        level: 'warn',
        message: `${h.sink}: not delivered, trying again: ${h.detail}`,
        lasts: `pipeline.retry ${h.sink} ${h.reason}`,
      };
    case 'pipeline.recovered':
      return {
        level: 'info',
        message: `${h.sink}: delivers again after ${seconds(h.outageMs)}`,
        ends: retriesOf(h.sink),
      };
    case 'pipeline.parked':
      return {
        level: 'error',
        message: `${h.sink}: parked, nothing is skipped; tried again every minute: ${h.detail}`,
        lasts: `pipeline.parked ${h.sink}`,
      };
    case 'pipeline.unparked':
      return {
        level: 'info',
        message: `${h.sink}: accepted again after ${seconds(h.outageMs)}`,
        ends: [`pipeline.parked ${h.sink}`, `pipeline.breaker ${h.sink}`, ...retriesOf(h.sink)],
      };
    case 'pipeline.failed':
      return { level: 'info', message: `${h.sink}: ended, ${h.detail}` };
    case 'pipeline.set_aside':
      return { level: 'error', message: `${h.sink}: event ${h.id} set aside in the dead letter: ${h.detail}` };
    case 'pipeline.breaker':
      return {
        level: 'error',
        message: `${h.sink}: ${h.refused} events refused in a row: nothing more is set aside until one is accepted`,
        lasts: `pipeline.breaker ${h.sink}`,
      };
    case 'pipeline.gave_up':
      return {
        level: 'error',
        message: `${h.sink}: given up after ${seconds(h.patienceMs)} without progress, waiting for the ${h.waitingFor}: ${h.detail}`,
      };
    case 'pipeline.progress':
      return { level: 'info', message: `${h.sink}: ${h.events} events so far, ${Math.round(h.perSecond)} a second` };
    case 'pipeline.done':
      return { level: 'info', message: `${h.sink}: has everything up to event ${h.after}` };
    case 'checkpoint.saved':
      return { level: 'trace', message: `${h.sink}: checkpoint at ${h.after}` };
    case 'checkpoint.retry':
      return {
        level: 'error',
        message: `${h.sink}: paused, trying again: ${h.detail}`,
        lasts: `checkpoint.retry ${h.sink}`,
      };
    case 'checkpoint.recovered':
      return {
        level: 'info',
        message: `${h.sink}: goes on after ${seconds(h.outageMs)}, state can be written again`,
        ends: [`checkpoint.retry ${h.sink}`],
      };
    case 'checkpoint.fallback':
      return { level: 'warn', message: `${h.sink}: ${h.detail}` };
    case 'checkpoint.orphan':
      return {
        level: 'warn',
        message: `there is a checkpoint of sink ${h.sink}, which is not configured: was it renamed? ("cursor rename")`,
      };
    case 'sink.warning':
      return { level: 'warn', message: `${h.sink}: ${h.detail}` };
    case 'sink.info':
      return { level: 'info', message: `${h.sink}: ${h.detail}` };
    case 'sink.untimed':
      return { level: 'debug', message: `${h.sink}: ${h.events} events without a readable time` };
    case 'tls.certificate':
      return {
        level: 'trace',
        message: `${h.peer}: the ${h.whose} certificate ends at ${new Date(h.endsAtMs).toISOString()}`,
      };
    case 'telemetry.listening':
      return { level: 'info', message: `tells how it fares at http://${h.address}`, ends: ['telemetry.failed'] };
    case 'telemetry.failed':
      return {
        level: 'error',
        message: `telemetry is not to be had, all else goes on: ${h.detail}`,
        lasts: 'telemetry.failed',
      };
    case 'telemetry.export_failed':
      return {
        level: 'warn',
        message: `the ${h.signal} were not sent: ${h.detail}`,
        lasts: `telemetry.export_failed ${h.signal}`,
      };
    case 'telemetry.export_recovered':
      return {
        level: 'info',
        message: `the ${h.signal} are sent again`,
        ends: [`telemetry.export_failed ${h.signal}`],
      };
    case 'daemon.start':
      return {
        level: 'info',
        message: h.reload ? describeReload(h) : `qasphere-siem-forwarder ${h.version} with ${h.sinks.join(', ')}`,
      };
    case 'daemon.warning':
      return { level: 'warn', message: h.detail };
    case 'daemon.stopping':
      return { level: 'info', message: `${h.signal}: finishing what is in flight` };
    case 'daemon.stopped':
      return h.pending.length === 0
        ? { level: 'info', message: 'stopped' }
        : {
            level: 'warn',
            message: `stopped before all was confirmed; it comes again at the next start: ${h.pending.join(', ')}`,
          };
  }
}

function describeReload({ sinks, restarted }: Extract<TelemetryEvent, { event: 'daemon.start' }>): string {
  const same = sinks.filter((sink) => !restarted.includes(sink));
  const parts = [
    restarted.length > 0 && `${restarted.join(', ')} begin anew`,
    same.length > 0 && `${same.join(', ')} go on as before`,
  ];
  return `the configuration was read again: ${parts.filter((part) => part !== false).join('; ')}`;
}

function describeNewest({ sink, id, result }: Extract<TelemetryEvent, { event: 'pipeline.history_check' }>): Described {
  const lasts = `pipeline.history_check ${sink}`;
  if (result === 'there')
    return { level: 'trace', message: `${sink}: event ${id} is as it was delivered`, ends: [lasts] };
  const remedy = `if the tenant was restored from a backup, ids are given out again: compare the SIEM with QA Sphere and set the cursor with "cursor set ${sink} ID"`;
  if (result === 'gone')
    return {
      level: 'warn',
      message: `${sink}: event ${id}, the newest delivered, is gone while older ones are there: ${remedy}`,
      lasts,
    };
  return {
    level: 'error',
    message: `${sink}: event ${id} has another text than was delivered, nothing is skipped: ${remedy}`,
    lasts,
  };
}

const retriesOf = (sink: string) => reasons.map((reason) => `pipeline.retry ${sink} ${reason}`);

const names = ({ firstSeen }: { readonly firstSeen: readonly string[] }) =>
  firstSeen.length > 0 ? firstSeen.join(', ') : 'told before';

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}
