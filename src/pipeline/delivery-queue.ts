import { createdAtMs, type Encoded } from '../event/event.ts';
import { insist } from '../lib/backoff.ts';
import { Notifier } from '../lib/notifier.ts';
import type { Life } from '../lib/shutdown.ts';
import type { Retry, SetAside, Stop, Verdict } from '../lib/verdict.ts';
import type { Sent } from '../sinks/sink.ts';
import { Setbacks } from './delivery-backoff.ts';
import type { LaneOptions } from './delivery-queue-options.ts';
import { type Entry, InFlight, partTaken } from './in-flight.ts';
import { Trouble } from './outage-tracker.ts';
import { SinkGone } from './sink-gone.ts';

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
  readonly #trouble: Trouble;
  #lastAcceptedMs = performance.now();
  readonly #setbacks: Setbacks;
  #sends = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#trouble = new Trouble(options.name, options.observe);
    this.#setbacks = new Setbacks({ ...backoff, random: options.random });
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

  /** Takes a batch; resolves when there is room for the next, or `life.stop` fires. */
  async offer(records: readonly Encoded[], life: Life): Promise<void> {
    const wasIdle = this.isIdle;
    this.#batches.push(records, performance.now());
    if (wasIdle) this.#tellOldest();
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
    const { sink, random, wake } = this.#options;
    entry.open = true;
    this.#changed.notify();
    // One that comes back while this one fails goes first, or the two would change places.
    const isBehind = () => this.#batches.next(sink.window) !== entry;
    const verdict = await insist<Verdict | Sent | { kind: 'behind' }>(
      async (attempt) =>
        attempt > 1 && isBehind()
          ? { kind: 'behind' }
          : this.#keepTaken(entry, await sink.send({ records: entry.records }, life.kill)),
      { ...backoff, random, wake, onRetry: (...told) => this.#trouble.retries(...told) },
      life,
    );
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
      case 'behind':
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
    const { taken, rest } = partTaken(entry, verdict);
    if (taken.length > 0) this.#accepted(taken, entry);
    return rest;
  }

  #setback(entry: Entry, verdict: Retry): void {
    const afterMs = verdict.afterMs ?? 0;
    const isFirst = this.#setbacks.comes(entry.send, this.#sends);
    const waitMs = Math.max(this.#setbacks.waitMs, afterMs);
    if (isFirst) this.#trouble.retries(verdict, this.#setbacks.count, waitMs);
    entry.notBeforeMs = performance.now() + waitMs;
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
    this.#trouble.ends();
    if (record !== undefined) await setAside(record, verdict, life);
    this.#batches.remove(entry);
    this.#tellOldest();
  }

  #park(entry: Entry, verdict: Stop): void {
    if (verdict.final) {
      this.#options.observe({ event: 'route.gone', sink: this.#options.name, detail: verdict.detail });
      throw new SinkGone(verdict.detail);
    }
    entry.state = 'waiting';
    entry.notBeforeMs = performance.now() + parkMs;
    this.#trouble.parks(verdict);
  }

  #accepted(records: readonly Encoded[], { offeredMs }: Entry): void {
    const { name: sink, observe, delivered } = this.#options;
    this.#lastAcceptedMs = performance.now();
    this.#setbacks.end();
    this.#trouble.ends();
    delivered(records);
    const event = records.at(-1)?.event;
    if (event === undefined) return;
    const lastAtMs = createdAtMs(event);
    observe({
      event: 'route.delivered',
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
    const oldestAtMs = event === undefined ? undefined : (createdAtMs(event) ?? event.receivedAtMs);
    this.#options.observe({ event: 'route.waiting', sink: this.#options.name, oldestAtMs });
  }
}
