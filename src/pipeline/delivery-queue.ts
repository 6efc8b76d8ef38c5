// Above 250 lines until batches, backoff and outages have one owner.
import type { Encoded } from '../event/event.ts';
import { retryUntilSettled } from '../lib/backoff.ts';
import { Notifier } from '../lib/notifier.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Reject, Retry, Stop, Verdict } from '../lib/verdict.ts';
import type { Sent } from '../sinks/sink.ts';
import { DeliveryBackoff } from './delivery-backoff.ts';
import type { DeliveryQueueOptions } from './delivery-queue-options.ts';
import { type Entry, InFlight, takeAcceptedPrefix } from './in-flight.ts';
import { OutageTracker } from './outage-tracker.ts';
import { SinkGone } from './sink-gone.ts';

/** After so many refusals in a row without one acceptance the fault is taken to be ours. */
export const breakerLimit = 100;
const parkMs = 60_000;
const backoff = { firstMs: 1000, longestMs: 60_000 };

/**
 * Takes batches to a sink: in order, at most `sink.window` unconfirmed, each until it is confirmed or set aside. A batch
 * that comes back is sent again before anything new. Modes: sending, waiting for room, waiting out a setback, parked.
 */
export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  readonly #batches = new InFlight();
  readonly #changed = new Notifier();
  readonly #trouble: OutageTracker;
  #lastAcceptedMs = performance.now();
  readonly #setbacks: DeliveryBackoff;
  #sends = 0;
  /** A bug, or a destination that is gone for good, found while a late confirmation was booked: ends the run. */
  #failure: { readonly error: unknown } | undefined;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
    this.#trouble = new OutageTracker(options.name, options.emit);
    this.#setbacks = new DeliveryBackoff({ ...backoff, random: options.random });
  }

  /** What stands in the way just now, one printable line. */
  get trouble(): string | undefined {
    return this.#trouble.detail;
  }
  get parked(): Stop | undefined {
    return this.#trouble.parked;
  }
  /** When something was last confirmed (or the lane was made), monotonic milliseconds. */
  get lastAcceptedMs(): number {
    return this.#lastAcceptedMs;
  }
  get isIdle(): boolean {
    return this.#batches.isEmpty;
  }

  /** Takes a batch; resolves when there is room for the next, or `signals.graceful` fires. */
  async offer(records: readonly Encoded[], signals: ShutdownSignals): Promise<void> {
    const wasIdle = this.isIdle;
    this.#batches.push(records, performance.now());
    if (wasIdle) this.#tellOldest();
    this.#changed.notify();
    while (!signals.graceful.aborted && this.#batches.anyUntried) await this.#changed.wait(signals.graceful);
  }

  /** Nothing more is coming for now: hastens confirmations. Resolves when all is confirmed and saved, or at `signals.graceful`. */
  async flush(signals: ShutdownSignals): Promise<void> {
    const isDone = () => signals.graceful.aborted || (this.isIdle && !this.#options.dirty());
    while (!isDone()) {
      if (!this.isIdle && !this.#batches.anyWaiting) await this.#options.sink.finish?.(signals.forced);
      if (!isDone()) await this.#changed.wait(signals.graceful);
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
   * Works until `signals.graceful`: then what is on the wire is waited for until `signals.forced`, and
   * the rest is left. @throws a bug, the reason of `signals.forced`, or what `commit` and `setAside` throw
   */
  async run(signals: ShutdownSignals): Promise<void> {
    try {
      while (!signals.graceful.aborted) {
        this.#throwIfFailed();
        const entry = this.#batches.next(this.#options.sink.window);
        if (this.#options.dirty()) {
          await this.#options.commit(signals);
          this.#changed.notify();
        } else if (entry === undefined) {
          await this.#changed.wait(signals.graceful);
        } else if (entry.notBeforeMs > performance.now())
          await this.#changed.wait(signals.graceful, entry.notBeforeMs - performance.now());
        else await this.#work(entry, signals);
      }
      await this.#wind(signals);
    } finally {
      // Also where `kill` cut a sending short: what was confirmed beside it must not come again.
      if (this.#options.dirty()) await this.#options.commit({ graceful: signals.forced, forced: signals.forced });
    }
  }

  async #wind(signals: ShutdownSignals): Promise<void> {
    if (this.#batches.anySent && !signals.forced.aborted) await this.#options.sink.finish?.(signals.forced);
    while (!signals.forced.aborted && this.#batches.anySent && this.#failure === undefined)
      await this.#changed.wait(signals.forced);
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #work(entry: Entry, signals: ShutdownSignals): Promise<void> {
    if (entry.refused !== undefined) await this.#refusedAlone(entry, entry.refused, signals);
    // Our own fault is looked for with one event at a time.
    else if (this.#options.refusedInRow() >= breakerLimit && entry.records.length > 1) this.#batches.split(entry, [1]);
    else await this.#send(entry, signals);
    this.#changed.notify();
  }

  async #send(entry: Entry, signals: ShutdownSignals): Promise<void> {
    const { sink, random, wake } = this.#options;
    entry.open = true;
    this.#changed.notify();
    // One that comes back while this one fails goes first, or the two would change places.
    const isBehind = () => this.#batches.next(sink.window) !== entry;
    const verdict = await retryUntilSettled<Verdict | Sent | { kind: 'behind' }>(
      async (attempt) =>
        attempt > 1 && isBehind()
          ? { kind: 'behind' }
          : this.#keepTaken(entry, await sink.send({ records: entry.records }, signals.forced)),
      { ...backoff, random, wake, onRetry: (...told) => this.#trouble.retries(...told) },
      signals,
    );
    switch (verdict.kind) {
      case 'sent':
        entry.state = 'sent';
        entry.send = ++this.#sends;
        this.#options.sent();
        void this.#confirm(entry, verdict.confirmed, signals);
        break;
      case 'accepted':
        this.#done(entry);
        break;
      case 'reject':
        await this.#refused(entry, verdict, signals);
        break;
      case 'stop':
        this.#park(entry, verdict);
        break;
      case 'retry': // only while stopping: the batch stays where it is
      case 'behind':
        break;
    }
  }

  /** Waits for a confirmation. Never rejects: the entry holds the result, `#failure` what ends the run. */
  async #confirm(entry: Entry, confirmed: Promise<Verdict>, signals: ShutdownSignals): Promise<void> {
    try {
      const verdict = this.#keepTaken(entry, await confirmed);
      if (verdict.kind === 'accepted') this.#done(entry);
      else {
        entry.state = 'waiting';
        if (verdict.kind === 'retry') this.#setback(entry, verdict);
        else if (verdict.kind === 'stop') this.#park(entry, verdict);
        else if (entry.records.length > 1) this.#batches.isolate(entry, verdict.failedIndex);
        else entry.refused = verdict;
      }
    } catch (error) {
      // After a forced stop the batch stays unconfirmed. Everything else is a bug, or a destination that is gone.
      if (!signals.forced.aborted || error !== signals.forced.reason) this.#failure ??= { error };
    }
    this.#changed.notify();
  }

  /** Leading records that got through all the same are done; the rest is what the verdict speaks of. */
  #keepTaken<V extends Verdict | Sent>(entry: Entry, verdict: V): V {
    const { taken, rest } = takeAcceptedPrefix(entry, verdict);
    if (taken.length > 0) this.#accepted(taken, entry);
    return rest;
  }

  #setback(entry: Entry, verdict: Retry): void {
    const afterMs = verdict.afterMs ?? 0;
    const isFirst = this.#setbacks.recordLoss(entry.send, this.#sends);
    const waitMs = Math.max(this.#setbacks.waitMs, afterMs);
    if (isFirst) this.#trouble.retries(verdict, this.#setbacks.count, waitMs);
    entry.notBeforeMs = performance.now() + waitMs;
  }

  async #refused(entry: Entry, verdict: Reject, signals: ShutdownSignals): Promise<void> {
    if (entry.records.length > 1) this.#batches.isolate(entry, verdict.failedIndex);
    else await this.#refusedAlone(entry, verdict, signals);
  }

  async #refusedAlone(entry: Entry, verdict: Reject, signals: ShutdownSignals): Promise<void> {
    const { name, emit, setAside } = this.#options;
    const refused = this.#options.refusedInRow();
    const [record] = entry.records;
    entry.refused = undefined;
    if (refused >= breakerLimit) {
      emit({ event: 'pipeline.breaker', sink: name, refused });
      const detail = `${refused} events in a row were refused, so the fault is taken to be here, not in them: ${verdict.detail}`;
      return this.#park(entry, { kind: 'stop', reason: verdict.reason, detail });
    }
    this.#trouble.ends();
    if (record !== undefined) await setAside(record, verdict, signals);
    this.#batches.remove(entry);
    this.#tellOldest();
  }

  #park(entry: Entry, verdict: Stop): void {
    if (verdict.permanent) {
      this.#options.emit({ event: 'pipeline.failed', sink: this.#options.name, detail: verdict.detail });
      throw new SinkGone(verdict.detail);
    }
    entry.state = 'waiting';
    entry.notBeforeMs = performance.now() + parkMs;
    this.#trouble.parks(verdict);
  }

  #accepted(records: readonly Encoded[], { offeredMs }: Entry): void {
    const { name: sink, emit, delivered } = this.#options;
    this.#lastAcceptedMs = performance.now();
    this.#setbacks.reset();
    this.#trouble.ends();
    delivered(records);
    const event = records.at(-1)?.event;
    if (event === undefined) return;
    const lastAtMs = event.createdAtMs;
    emit({
      event: 'pipeline.delivered',
      sink,
      records: records.length,
      last: event.id,
      elapsedMs: this.#lastAcceptedMs - offeredMs,
      ...(lastAtMs !== undefined && { lastAtMs }),
    });
  }

  #done(entry: Entry): void {
    this.#accepted(entry.records, entry);
    this.#batches.remove(entry);
    this.#tellOldest();
  }

  /** Entries keep the order of ids, so the first holds the oldest event. */
  #tellOldest(): void {
    const event = this.#batches.oldest?.event;
    const oldestAtMs = event === undefined ? undefined : (event.createdAtMs ?? event.receivedAtMs);
    this.#options.emit({ event: 'pipeline.waiting', sink: this.#options.name, oldestAtMs });
  }
}
