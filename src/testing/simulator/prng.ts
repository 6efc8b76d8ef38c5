/** A list that `pick` can always take from. */
export type Some<T> = readonly [T, ...T[]];

/**
 * Repeatable chance: splitmix32, for looks and not for secrets. One instance is aimed again and again, so that an
 * event costs no allocation.
 */
export class Prng {
  #state: number;

  constructor(seed = 0) {
    this.#state = seed | 0;
  }

  /** Begins the sequence that belongs to `index` under `seed`; the same two give the same sequence. */
  aim(seed: number, index: number): this {
    this.#state = Math.imul(seed | 0, 0x9e3779b1) ^ Math.floor(index / 2 ** 32);
    this.#state = this.next() ^ (index | 0);
    this.#state = this.next();
    return this;
  }

  /** The next number, 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** The next number, at least 0 and below 1, like Math.random. */
  share(): number {
    return this.next() / 2 ** 32;
  }

  /** A whole number, 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.share() * limit);
  }

  pick<T>(items: Some<T>): T {
    return items[this.below(items.length)] ?? items[0];
  }

  /** `length` lower-case hexadecimal digits. */
  hex(length: number): string {
    let text = '';
    while (text.length < length) text += this.next().toString(16).padStart(8, '0');
    return text.slice(0, length);
  }
}
