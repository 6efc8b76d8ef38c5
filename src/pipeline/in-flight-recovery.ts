import type { Cursor } from '../event/event.ts';
import { type ShutdownSignals, untilAborted } from '../lib/shutdown.ts';
import type { ResumedBatch } from '../sinks/sink.ts';
import type { HighWaterMark } from './high-water-mark.ts';

/** Batches that an earlier process sent: what the far side says of them settles them, or has them read again. */
export class InFlightRecovery {
  readonly #progress: HighWaterMark;
  #open = 0;
  #lastMs = 0;

  constructor(progress: HighWaterMark) {
    this.#progress = progress;
  }

  /** How many are not known yet. */
  get open(): number {
    return this.#open;
  }
  /** When one was learnt last, monotonic milliseconds. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** The ids are in flight when this returns; resolves when all is known. `tell` hears of each whether it got lost. */
  async resolve(
    recovered: readonly ResumedBatch[],
    signals: ShutdownSignals,
    tell: (lost: boolean) => void,
  ): Promise<void> {
    await Promise.all(recovered.map((batch) => this.#one(batch, signals, tell)));
  }

  async #one(
    { ranges, confirmed }: ResumedBatch,
    signals: ShutdownSignals,
    tell: (lost: boolean) => void,
  ): Promise<void> {
    const ids = ranges.flatMap(([from, to]) => [...idsBetween(from, to)]);
    this.#progress.resume(ids);
    this.#open += 1;
    const verdict = await untilAborted(
      signals.graceful,
      confirmed.catch(() => undefined),
    );
    this.#open -= 1;
    this.#lastMs = performance.now();
    const lost = verdict?.kind !== 'accepted';
    if (lost) this.#progress.release(ids);
    else this.#progress.settle(ids);
    tell(lost);
  }
}

function* idsBetween(from: Cursor, to: Cursor): Generator<Cursor> {
  for (let id = from; id <= to; id++) yield id;
}
