import type { Health } from './health.ts';

/** State of one sink at one moment. */
export interface Sample {
  /** Seconds before the newest sample. */
  readonly ageSeconds: number;
  readonly lagSeconds: number;
  readonly perSecond: number;
}

type Stored = Omit<Sample, 'ageSeconds'> & { readonly atMs: number };

export const sampleEveryMs = 30_000;
/** One hour. */
const MAX_SAMPLES = 120;

/** Lag and rate of each sink over the last hour, for the plots of the status page. */
export class History {
  readonly #health: Health;
  readonly #samples = new Map<string, Stored[]>();

  constructor(health: Health) {
    this.#health = health;
  }

  /** Call it every `sampleEveryMs`. */
  take(): void {
    const atMs = this.#health.now().monotonicMs;
    for (const name of this.#samples.keys()) if (!this.#health.sinks.has(name)) this.#samples.delete(name);
    for (const [name, sink] of this.#health.sinks) {
      const samples = this.#samples.get(name) ?? [];
      samples.push({ atMs, lagSeconds: this.#health.lagMs(sink) / 1000, perSecond: sink.rate.perSecond(atMs) });
      samples.splice(0, samples.length - MAX_SAMPLES);
      this.#samples.set(name, samples);
    }
  }

  /** Oldest first. */
  of(sink: string): Sample[] {
    const samples = this.#samples.get(sink) ?? [];
    const newest = samples.at(-1)?.atMs ?? 0;
    return samples.map(({ atMs, ...rest }) => ({ ageSeconds: (newest - atMs) / 1000, ...rest }));
  }
}
