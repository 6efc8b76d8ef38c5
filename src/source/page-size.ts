import type { Emit } from '../telemetry/telemetry-event.ts';

/** Longest page accepted, bytes after decompression. */
export const largestBodyBytes = 64 * 1024 ** 2;
/** Larger pages reduce the next count, so that memory stays bounded. */
const heavyBodyBytes = 8 * 1024 ** 2;

/** How many events to request: as configured, less after heavy or late pages, growing again with light ones. */
export class PageSize {
  readonly #max: number;
  readonly #emit: Emit;
  #next: number;

  constructor(max: number, emit: Emit) {
    this.#max = max;
    this.#emit = emit;
    this.#next = max;
  }

  get next(): number {
    return this.#next;
  }

  halve(requested: number, why: string): void {
    // A page that was requested with a smaller count on purpose says nothing about a full one.
    if (requested < this.#next) return;
    this.#set(Math.max(1, Math.min(this.#next, Math.floor(requested / 2))), why);
  }

  received(events: number, bytes: number, requested: number): void {
    if (bytes > heavyBodyBytes && events > 1)
      this.#set(Math.max(1, Math.floor((events * heavyBodyBytes) / bytes)), 'the last page was heavy');
    else if (requested >= this.#next && this.#next < this.#max)
      this.#set(Math.min(this.#max, this.#next + Math.max(1, this.#next >> 2)), 'the last page was light');
  }

  #set(count: number, why: string): void {
    if (count === this.#next) return;
    this.#next = count;
    this.#emit({ event: 'source.count', count, detail: why });
  }
}
