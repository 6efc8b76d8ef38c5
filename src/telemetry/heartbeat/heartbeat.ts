import type { StatusRecord } from '../../event/status-record.ts';
import { Notifier } from '../../lib/notifier.ts';
import { type ShutdownSignals, sleep, untilAborted } from '../../lib/shutdown.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { Health, Instant } from '../health.ts';
import { dispatch, type Handlers, type TelemetryEvent } from '../telemetry-event.ts';
import { interruptionMs, type StatusRecords } from './status-records.ts';

/** On the wire; `confirmed` resolves later. */
interface Sent {
  readonly kind: 'sent';
  readonly confirmed: Promise<Verdict>;
}

/** Sends one status record to the sink. @throws the reason of `forced` */
export type SendStatus = (record: StatusRecord, forced: AbortSignal) => Promise<Verdict | Sent>;

export interface HeartbeatOptions {
  readonly sink: string;
  readonly health: Health;
  readonly records: StatusRecords;
}

/** Records queued for the sink, at most; the operations log has all of them. */
const MAX_QUEUED = 100;
/** Wait before a record that was not accepted is sent again, milliseconds. */
const retryMs = { first: 5_000, longest: 60_000 };
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How long the last records may take, milliseconds. */
const finalMs = 1_500;

/**
 * The forwarder's own records for one sink: queued records in order, and a heartbeat every `everyMs`. It outlives reloads.
 * Only the newest heartbeat is queued, so that a long outage of the sink is not followed by a flood. Delivery of audit
 * records never waits for it.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #changed = new Notifier();
  #queue: StatusRecord[] = [];
  #sequence = 0;
  /** Set while the sink accepts nothing, as far as is known. */
  #outage: { readonly since: Instant; readonly why: string } | undefined;
  #everyMs = 0;
  #nextBeatMs = Number.POSITIVE_INFINITY;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** The interval between heartbeats, milliseconds; a new interval starts now. */
  set everyMs(ms: number) {
    if (ms === this.#everyMs) return;
    this.#everyMs = ms;
    this.#nextBeatMs = this.#nowMs() + ms;
  }

  push(record: StatusRecord): void {
    if (record.event === 'forwarder.heartbeat')
      this.#queue = this.#queue.filter(({ event }) => event !== 'forwarder.heartbeat');
    this.#queue.push(record);
    this.#queue.splice(0, this.#queue.length - MAX_QUEUED);
    this.#changed.notify();
  }

  handle(event: TelemetryEvent): void {
    if ('sink' in event && event.sink === this.#options.sink) dispatch(this.#handlers, event);
  }

  readonly #handlers: Handlers = {
    'pipeline.retry': ({ reason }) => this.#beginOutage(reason),
    'pipeline.parked': ({ reason }) => this.#beginOutage(reason),
    'pipeline.recovered': () => this.#endOutage(),
    'pipeline.unparked': () => this.#endOutage(),
  };

  /** Sends what is queued until `signals.graceful`. @throws a bug of `sendStatus` */
  async run(sendStatus: SendStatus, signals: ShutdownSignals): Promise<void> {
    let failures = 0;
    while (!signals.graceful.aborted) {
      this.#beat();
      const [record] = this.#queue;
      if (record === undefined) {
        const idleMs = this.#nextBeatMs - this.#nowMs();
        await this.#changed.wait(signals.graceful, Math.min(idleMs, MAX_TIMER_MS));
      } else if (await this.#send(record, sendStatus, signals)) failures = 0;
      else {
        await sleep(Math.min(retryMs.longest, retryMs.first * 2 ** failures), signals.graceful);
        failures += 1;
      }
    }
  }

  /** Sends the queued records and then `last`, before the sink closes, within a fixed time. @throws a bug of `sendStatus` */
  async finish(last: StatusRecord, sendStatus: SendStatus, { forced }: ShutdownSignals): Promise<void> {
    const records = [...this.#queue, last];
    this.#queue = [];
    const done = new AbortController();
    const sending = (async () => {
      for (const record of records) await sendStatus(record, forced).catch(ifForced(forced));
    })().finally(() => done.abort());
    await Promise.race([sending, sleep(finalMs, AbortSignal.any([forced, done.signal]))]);
  }

  /** Whether the sink is done with `record`. */
  async #send(record: StatusRecord, sendStatus: SendStatus, { graceful, forced }: ShutdownSignals): Promise<boolean> {
    const verdict = await untilAborted(graceful, sendStatus(record, forced).catch(ifForced(forced)));
    // After a stop its result is unknown; `finish` follows.
    if (verdict === undefined) return true;
    if (verdict.kind === 'retry' || verdict.kind === 'stop') {
      this.#beginOutage(verdict.reason);
      return false;
    }
    // A record that the sink rejects for its content is not sent again.
    this.#queue = this.#queue.filter((other) => other !== record);
    // Not awaited: it resolves when the sink closes at the latest.
    if (verdict.kind === 'sent') void this.#confirm(record, verdict.confirmed.catch(ifForced(forced)));
    else this.#endOutage();
    return true;
  }

  async #confirm(record: StatusRecord, confirmed: Promise<Verdict | undefined>): Promise<void> {
    const verdict = await confirmed;
    if (verdict?.kind === 'accepted') this.#endOutage();
    else if (verdict?.kind === 'retry' && record.event !== 'forwarder.heartbeat') this.#queue.unshift(record);
    if (verdict?.kind === 'retry') this.#beginOutage(verdict.reason);
    this.#changed.notify();
  }

  #beat(): void {
    if (this.#nowMs() < this.#nextBeatMs) return;
    this.#nextBeatMs = this.#nowMs() + this.#everyMs;
    this.#sequence += 1;
    this.push(this.#options.records.heartbeat(this.#options.sink, this.#sequence, this.#everyMs));
  }

  #beginOutage(why: string): void {
    this.#outage ??= { since: this.#options.health.now(), why };
  }

  #endOutage(): void {
    const outage = this.#outage;
    const { sink, health, records } = this.#options;
    if (outage === undefined || health.sinks.get(sink)?.outage !== undefined) return;
    this.#outage = undefined;
    if (this.#nowMs() - outage.since.monotonicMs < interruptionMs) return;
    this.push(records.resumption('sink', outage.why, outage.since));
  }

  #nowMs(): number {
    return this.#options.health.now().monotonicMs;
  }
}

/** Handles the rejection of a send: undefined if the process stops by force. @throws any other error, which is a bug */
const ifForced =
  (forced: AbortSignal) =>
  (error: unknown): undefined => {
    if (!forced.aborted) throw error;
  };
