import type { Emit } from '../telemetry/telemetry-event.ts';

/** Longest page taken, bytes after decompression. */
export const largestBodyBytes = 64 * 1024 ** 2;
/** Pages above this lower the next count, so that memory stays bounded. */
const heavyBodyBytes = 8 * 1024 ** 2;

/** How many events to ask for: what is configured, less after heavy or late pages, growing back with good ones. */
export class PageSize {
  readonly #most: number;
  readonly #emit: Emit;
  #next: number;

  constructor(most: number, emit: Emit) {
    this.#most = most;
    this.#emit = emit;
    this.#next = most;
  }

  get next(): number {
    return this.#next;
  }

  halve(asked: number, why: string): void {
    // Asked for with a smaller count on purpose: that says nothing of a full page.
    if (asked < this.#next) return;
    this.#set(Math.max(1, Math.min(this.#next, Math.floor(asked / 2))), why);
  }

  took(events: number, bytes: number, asked: number): void {
    if (bytes > heavyBodyBytes && events > 1)
      this.#set(Math.max(1, Math.floor((events * heavyBodyBytes) / bytes)), 'the last page was heavy');
    // A page asked for with another count says nothing of this one.
    else if (asked >= this.#next && this.#next < this.#most)
      this.#set(Math.min(this.#most, this.#next + Math.max(1, this.#next >> 2)), 'the last page was light');
  }

  #set(count: number, why: string): void {
    if (count === this.#next) return;
    this.#next = count;
    this.#emit({ event: 'source.count', count, detail: why });
  }
}
