/** A power of two. */
const slots = 256;
/** Places in which a text may stand, one behind the other. */
const ways = 4;
/** Longer texts are made anew each time. */
const longestKept = 64;

/**
 * Makes strings of bytes, the same string for the same bytes where it was made lately: of an audit log's actions there are
 * few. Memory is bounded: a text has a few places, and where these are taken the next text that belongs there drives one out.
 */
export class StringCache {
  readonly #texts: (string | undefined)[] = new Array(slots).fill(undefined);
  readonly #bytes = new Uint8Array(slots * longestKept);
  readonly #lengths = new Uint8Array(slots);
  #made = 0;

  /** The UTF-8 from `from` to `to`, decoded. */
  textAt(bytes: Buffer, from: number, to: number): string {
    const length = to - from;
    if (length > longestKept) return bytes.toString('utf8', from, to);
    let hash = length;
    // FNV-1a, as far as it goes in 32 bits.
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
    hash ^= hash >>> 16;
    for (let way = 0; way < ways; way++) {
      const slot = (hash + way) & (slots - 1);
      const text = this.#texts[slot];
      if (text === undefined) return this.#keep(slot, bytes, from, to);
      if (this.#holds(slot, bytes, from, length)) return text;
    }
    return this.#keep((hash + (this.#made % ways)) & (slots - 1), bytes, from, to);
  }

  #keep(slot: number, bytes: Buffer, from: number, to: number): string {
    const text = bytes.toString('utf8', from, to);
    this.#texts[slot] = text;
    this.#bytes.set(bytes.subarray(from, to), slot * longestKept);
    this.#lengths[slot] = to - from;
    this.#made++;
    return text;
  }

  #holds(slot: number, bytes: Buffer, from: number, length: number): boolean {
    if (this.#lengths[slot] !== length) return false;
    const kept = this.#bytes;
    const start = slot * longestKept;
    for (let at = 0; at < length; at++) if (kept[start + at] !== bytes[from + at]) return false;
    return true;
  }
}
