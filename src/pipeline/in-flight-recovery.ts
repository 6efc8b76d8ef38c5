import type { Cursor } from '../event/event.ts';
import { type Life, unless } from '../lib/shutdown.ts';
import type { Recovered } from '../sinks/sink.ts';
import type { Progress } from './high-water-mark.ts';

/** Batches that an earlier process sent: what the far side says of them settles them, or has them read again. */
export class Fates {
  readonly #progress: Progress;
  #open = 0;
  #lastMs = 0;

  constructor(progress: Progress) {
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
  async learn(recovered: readonly Recovered[], life: Life, tell: (lost: boolean) => void): Promise<void> {
    await Promise.all(recovered.map((batch) => this.#one(batch, life, tell)));
  }

  async #one({ ranges, confirmed }: Recovered, life: Life, tell: (lost: boolean) => void): Promise<void> {
    const ids = ranges.flatMap(([from, to]) => [...idsBetween(from, to)]);
    this.#progress.resume(ids);
    this.#open += 1;
    const verdict = await unless(
      life.stop,
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
