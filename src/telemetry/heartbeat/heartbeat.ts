import type { StatusRecord } from '../../event/status-record.ts';
import { Notifier } from '../../lib/notifier.ts';
import { type ShutdownSignals, sleep, untilAborted } from '../../lib/shutdown.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { Health, Instant } from '../health.ts';
import type { TelemetryEvent } from '../telemetry-event.ts';
import { interruptionMs, type StatusRecords } from './status-records.ts';

/** On the wire; `confirmed` tells later. */
interface Sent {
  readonly kind: 'sent';
  readonly confirmed: Promise<Verdict>;
}

/** Sends one note to the sink. @throws the reason of `kill` */
export type SendStatus = (note: StatusRecord, kill: AbortSignal) => Promise<Verdict | Sent>;

export interface HeartbeatOptions {
  readonly sink: string;
  readonly health: Health;
  readonly notes: StatusRecords;
}

/** Notes that wait for their sink, at most; the operations file has all of them. */
const mostWaiting = 100;
/** A note that was not taken is tried again after this, milliseconds. */
const againMs = { first: 5_000, longest: 60_000 };
const longestTimerMs = 2 ** 31 - 1;
/** The last note has so long, milliseconds. */
const farewellMs = 1_500;

/**
 * One sink's records of the forwarder's own: what is queued is told in order, and a heartbeat at least every `everyMs`.
 * It outlives the routes of one configuration; only the newest heartbeat waits, so that a long cut is not followed by a
 * flood. Nothing of it holds a route up.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #changed = new Notifier();
  #queue: StatusRecord[] = [];
  #sequence = 0;
  /** Since when the sink takes nothing, as far as is known, and why. */
  #cut: { readonly since: Instant; readonly why: string } | undefined;
  #everyMs = 0;
  #nextBeatMs = Number.POSITIVE_INFINITY;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** From now on a heartbeat this often, the first one after that time. */
  set everyMs(ms: number) {
    if (ms === this.#everyMs) return;
    this.#everyMs = ms;
    this.#nextBeatMs = this.#nowMs() + ms;
  }

  push(note: StatusRecord): void {
    if (note.event === 'forwarder.heartbeat')
      this.#queue = this.#queue.filter(({ event }) => event !== 'forwarder.heartbeat');
    this.#queue.push(note);
    this.#queue.splice(0, this.#queue.length - mostWaiting);
    this.#changed.notify();
  }

  /** What its route tells of the sink. */
  handle(h: TelemetryEvent): void {
    if (!('sink' in h) || h.sink !== this.#options.sink) return;
    if (h.event === 'pipeline.retry' || h.event === 'pipeline.parked') this.#cutNow(h.reason);
    else if (h.event === 'pipeline.recovered' || h.event === 'pipeline.unparked') this.#mended();
  }

  /** Tells what there is until `signals.graceful`. Never rejects. */
  async run(tell: SendStatus, signals: ShutdownSignals): Promise<void> {
    let failures = 0;
    while (!signals.graceful.aborted) {
      this.#beat();
      const [note] = this.#queue;
      if (note === undefined) {
        const idleMs = this.#nextBeatMs - this.#nowMs();
        await this.#changed.wait(signals.graceful, Math.min(idleMs, longestTimerMs));
      } else if (await this.#tell(note, tell, signals)) failures = 0;
      else {
        await sleep(Math.min(againMs.longest, againMs.first * 2 ** failures), signals.graceful);
        failures += 1;
      }
    }
  }

  /** The last word before the sink closes, after what still waits; not longer than it may take. Never rejects. */
  async farewell(note: StatusRecord, tell: SendStatus, signals: ShutdownSignals): Promise<void> {
    const waiting = [...this.#queue, note];
    this.#queue = [];
    const said = (async () => {
      for (const each of waiting) await tell(each, signals.forced);
    })();
    const limit = new AbortController();
    const done = said.catch(() => {}).finally(() => limit.abort());
    await Promise.race([done, sleep(farewellMs, AbortSignal.any([signals.forced, limit.signal]))]);
  }

  /** Whether the sink is done with `note`. */
  async #tell(note: StatusRecord, tell: SendStatus, signals: ShutdownSignals): Promise<boolean> {
    const telling = tell(note, signals.forced).catch((): Verdict => ({ kind: 'retry', reason: 'network', detail: '' }));
    const verdict = await untilAborted(signals.graceful, telling);
    // Stopped: what became of it is not known, and the last word says the rest.
    if (verdict === undefined) return true;
    if (verdict.kind === 'retry' || verdict.kind === 'stop') {
      this.#cutNow(verdict.reason);
      return false;
    }
    // A note that the sink refuses for its content is not worth a second try.
    this.#queue = this.#queue.filter((other) => other !== note);
    if (verdict.kind === 'sent') void this.#confirm(note, verdict.confirmed);
    else this.#mended();
    return true;
  }

  async #confirm(note: StatusRecord, confirmed: Promise<Verdict>): Promise<void> {
    const verdict = await confirmed.catch(() => undefined);
    if (verdict?.kind === 'accepted') this.#mended();
    else if (verdict?.kind === 'retry' && note.event !== 'forwarder.heartbeat') this.#queue.unshift(note);
    if (verdict?.kind === 'retry') this.#cutNow(verdict.reason);
    this.#changed.notify();
  }

  #beat(): void {
    if (this.#nowMs() < this.#nextBeatMs) return;
    this.#nextBeatMs = this.#nowMs() + this.#everyMs;
    this.#sequence += 1;
    this.push(this.#options.notes.heartbeat(this.#options.sink, this.#sequence, this.#everyMs));
  }

  #cutNow(why: string): void {
    this.#cut ??= { since: this.#options.health.now(), why };
  }

  #mended(): void {
    const cut = this.#cut;
    if (cut === undefined || this.#options.health.sinks.get(this.#options.sink)?.trouble !== undefined) return;
    this.#cut = undefined;
    if (this.#nowMs() - cut.since.monotonicMs < interruptionMs) return;
    this.push(this.#options.notes.resumption('sink', cut.why, cut.since));
  }

  #nowMs(): number {
    return this.#options.health.now().monotonicMs;
  }
}
