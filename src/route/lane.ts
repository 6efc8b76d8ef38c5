import type { Encoded } from '../core/event.ts';
import type { Observe } from '../core/happening.ts';
import type { Life } from '../core/life.ts';
import { Notifier } from '../core/notifier.ts';
import type { Retry, SetAside, Stop, Verdict } from '../core/verdict.ts';
import { backoffMs, insist } from '../net/retry.ts';
import type { Sent, Sink } from '../sink/sink.ts';
import { type Entry, InFlight } from './in-flight.ts';

/** What a lane tells its route, and asks of it. */
export interface LaneOptions {
  readonly name: string;
  readonly sink: Sink;
  readonly observe: Observe;
  readonly random: () => number;
  /** A SIGHUP: try now. */
  readonly wake: Notifier;
  /** The sink has confirmed these. */
  readonly delivered: (records: readonly Encoded[]) => void;
  /** Puts one record aside, durably; while the disk refuses, until `life.stop`. */
  readonly setAside: (record: Encoded, verdict: SetAside, life: Life) => Promise<void>;
  /** Whether something is confirmed and not yet durable; nothing new is sent before `commit` made it so. */
  readonly dirty: () => boolean;
  /** While the disk refuses, until `life.stop`. */
  readonly commit: (life: Life) => Promise<void>;
  /** A batch is on the wire: what the sink wants to remember of it may be saved. */
  readonly sent: () => void;
  /** Events refused alone in a row (counted over restarts). */
  readonly refusedInRow: () => number;
}

/** The destination is gone for good: the route ends. */
export class SinkGone extends Error {
  override readonly name = 'SinkGone';
}

/** After so many refusals in a row without one acceptance the fault is taken to be ours. */
export const breakerLimit = 100;
const parkMs = 60_000;
const backoff = { firstMs: 1000, longestMs: 60_000 };

/**
 * Takes batches to a sink: in order, at most `sink.window` unconfirmed, each until it is confirmed or set aside. A batch
 * that comes back is sent again before anything new. Modes: sending, waiting for room, waiting out a setback, parked.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #batches = new InFlight();
  readonly #changed = new Notifier();
  #parked: Stop | undefined;
  #trouble: string | undefined;
  #lastAcceptedMs = performance.now();
  /** Losses after sending, in a row; batches lost together are one. */
  #setbacks = { count: 0, lastSend: 0, waitMs: 0 };
  #sends = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** What stands in the way just now, one printable line. */
  get trouble(): string | undefined {
    return this.#trouble;
  }
  get parked(): Stop | undefined {
    return this.#parked;
  }
  /** When something was last confirmed (or the lane was made), monotonic milliseconds. */
  get lastAcceptedMs(): number {
    return this.#lastAcceptedMs;
  }
  get isIdle(): boolean {
    return this.#batches.isEmpty;
  }

  /** Takes a batch; resolves when there is room for the next, or `life.stop` fires. */
  async offer(records: readonly Encoded[], life: Life): Promise<void> {
    this.#batches.push(records, performance.now());
    this.#changed.notify();
    while (!life.stop.aborted && this.#batches.anyUntried) await this.#changed.wait(life.stop);
  }

  /** Nothing more is coming for now: hastens confirmations. Resolves when all is confirmed and saved, or at `life.stop`. */
  async flush(life: Life): Promise<void> {
    const isDone = () => life.stop.aborted || (this.isIdle && !this.#options.dirty());
    while (!isDone()) {
      if (!this.isIdle && !this.#batches.anyWaiting) await this.#options.sink.finish?.(life.kill);
      if (!isDone()) await this.#changed.wait(life.stop);
    }
  }

  /** Something outside wants `commit` to be looked at. */
  nudge(): void {
    this.#changed.notify();
  }

  /** A person asks to try at once. */
  retryNow(): void {
    this.#batches.hurry();
    this.#changed.notify();
  }

  /**
   * Works until `life.stop`: then what is on the wire is waited for until `life.kill`, and
   * the rest is left. @throws a bug, the reason of `life.kill`, or what `commit` and `setAside` throw
   */
  async run(life: Life): Promise<void> {
    try {
      while (!life.stop.aborted) {
        const entry = this.#batches.next(this.#options.sink.window);
        if (this.#options.dirty()) {
          await this.#options.commit(life);
          this.#changed.notify();
        } else if (entry === undefined) {
          await this.#changed.wait(life.stop);
        } else if (entry.notBeforeMs > performance.now())
          await this.#changed.wait(life.stop, entry.notBeforeMs - performance.now());
        else await this.#work(entry, life);
      }
      await this.#wind(life);
    } finally {
      // Also where `kill` cut a sending short: what was confirmed beside it must not come again.
      if (this.#options.dirty()) await this.#options.commit({ stop: life.kill, kill: life.kill });
    }
  }

  async #wind(life: Life): Promise<void> {
    if (this.#batches.anySent && !life.kill.aborted) await this.#options.sink.finish?.(life.kill);
    while (!life.kill.aborted && this.#batches.anySent) await this.#changed.wait(life.kill);
  }

  async #work(entry: Entry, life: Life): Promise<void> {
    if (entry.refused !== undefined) await this.#refusedAlone(entry, entry.refused, life);
    // Our own fault is looked for with one event at a time.
    else if (this.#options.refusedInRow() >= breakerLimit && entry.records.length > 1) this.#batches.split(entry, [1]);
    else await this.#send(entry, life);
    this.#changed.notify();
  }

  async #send(entry: Entry, life: Life): Promise<void> {
    const { sink, name, observe, random, wake } = this.#options;
    entry.open = true;
    this.#changed.notify();
    let sinceMs: number | undefined;
    let attempts = 0;
    const verdict = await insist<Verdict | Sent>(
      async () => this.#keepTaken(entry, await sink.send({ records: entry.records }, life.kill)),
      {
        ...backoff,
        random,
        wake,
        onRetry: ({ reason, detail }, attempt, waitMs) => {
          sinceMs ??= performance.now();
          attempts = attempt;
          this.#trouble = detail;
          observe({ event: 'route.retry', sink: name, reason, detail, attempt, waitMs });
        },
      },
      life,
    );
    if (sinceMs !== undefined && verdict.kind !== 'retry')
      observe({ event: 'route.recovered', sink: name, attempts, outageMs: Math.round(performance.now() - sinceMs) });
    switch (verdict.kind) {
      case 'sent':
        entry.state = 'sent';
        entry.send = ++this.#sends;
        this.#options.sent();
        void this.#confirm(entry, verdict.confirmed, life);
        break;
      case 'accepted':
        this.#done(entry);
        break;
      case 'set-aside':
        await this.#refused(entry, verdict, life);
        break;
      case 'stop':
        this.#park(entry, verdict);
        break;
      case 'retry': // only while stopping: the batch stays where it is
        break;
    }
  }

  /** Waits for a confirmation; never rejects: what comes of it stands in the entry, and `run` sees to it. */
  async #confirm(entry: Entry, confirmed: Promise<Verdict>, life: Life): Promise<void> {
    try {
      const verdict = this.#keepTaken(entry, await confirmed);
      if (verdict.kind === 'accepted') this.#done(entry);
      else {
        entry.state = 'waiting';
        if (verdict.kind === 'retry') this.#setback(entry, verdict);
        else if (verdict.kind === 'stop') this.#park(entry, verdict);
        else if (entry.records.length > 1) this.#batches.isolate(entry, verdict.culprit);
        else entry.refused = verdict;
      }
    } catch {
      // Only the reason of `kill` comes this way: the batch stays unconfirmed.
      if (!life.kill.aborted) entry.state = 'waiting';
    }
    this.#changed.notify();
  }

  /** Leading records that got through all the same are done; the rest is what the verdict speaks of. */
  #keepTaken<V extends Verdict | Sent>(entry: Entry, verdict: V): V {
    if (verdict.kind === 'accepted' || verdict.kind === 'sent') return verdict;
    const taken = Math.min(verdict.taken ?? 0, entry.records.length - 1);
    if (taken <= 0) return verdict;
    this.#accepted(entry.records.slice(0, taken));
    entry.records = entry.records.slice(taken);
    return verdict.kind === 'set-aside' && verdict.culprit !== undefined
      ? { ...verdict, culprit: verdict.culprit - taken }
      : verdict;
  }

  #setback(entry: Entry, { reason, detail, afterMs }: Retry): void {
    const { name, observe, random } = this.#options;
    if (entry.send > this.#setbacks.lastSend) {
      const count = this.#setbacks.count + 1;
      // The first loss is made good at once: the far side may only have restarted.
      const waitMs = count === 1 ? 0 : backoffMs(backoff, count - 1, random);
      this.#setbacks = { count, lastSend: this.#sends, waitMs };
      observe({
        event: 'route.retry',
        sink: name,
        reason,
        detail,
        attempt: count,
        waitMs: Math.max(waitMs, afterMs ?? 0),
      });
    }
    this.#trouble = detail;
    entry.notBeforeMs = performance.now() + Math.max(this.#setbacks.waitMs, afterMs ?? 0);
  }

  async #refused(entry: Entry, verdict: SetAside, life: Life): Promise<void> {
    if (entry.records.length > 1) this.#batches.isolate(entry, verdict.culprit);
    else await this.#refusedAlone(entry, verdict, life);
  }

  async #refusedAlone(entry: Entry, verdict: SetAside, life: Life): Promise<void> {
    const { name, observe, setAside } = this.#options;
    const refused = this.#options.refusedInRow();
    const [record] = entry.records;
    entry.refused = undefined;
    if (refused >= breakerLimit) {
      observe({ event: 'route.breaker', sink: name, refused });
      const detail = `${refused} events in a row were refused, so the fault is taken to be here, not in them: ${verdict.detail}`;
      return this.#park(entry, { kind: 'stop', reason: verdict.reason, detail });
    }
    if (record !== undefined) await setAside(record, verdict, life);
    this.#batches.remove(entry);
  }

  #park(entry: Entry, verdict: Stop): void {
    if (verdict.final) throw new SinkGone(verdict.detail);
    entry.state = 'waiting';
    entry.notBeforeMs = performance.now() + parkMs;
    this.#trouble = verdict.detail;
    this.#parked = verdict;
    this.#options.observe({
      event: 'route.parked',
      sink: this.#options.name,
      reason: verdict.reason,
      detail: verdict.detail,
    });
  }

  #accepted(records: readonly Encoded[]): void {
    this.#lastAcceptedMs = performance.now();
    this.#setbacks = { ...this.#setbacks, count: 0, waitMs: 0 };
    this.#options.delivered(records);
  }

  #done(entry: Entry): void {
    const { name: sink, observe } = this.#options;
    this.#trouble = undefined;
    if (this.#parked !== undefined) observe({ event: 'route.unparked', sink });
    this.#parked = undefined;
    this.#accepted(entry.records);
    const { length } = entry.records;
    const last = entry.records[length - 1];
    const elapsedMs = performance.now() - entry.offeredMs;
    if (last !== undefined)
      observe({ event: 'route.delivered', sink, records: length, last: last.event.id, elapsedMs });
    this.#batches.remove(entry);
  }
}
