/** A power of two. */
const slots = 256;
/** Longer texts are made anew each time. */
const longestKept = 64;

/**
 * Makes strings of bytes, the same string for the same bytes where it was made lately: of an audit log's actions there are
 * few. Memory is bounded: each text has one place, and the next that belongs there takes it.
 */
export class Interner {
  readonly #texts: (string | undefined)[] = new Array(slots).fill(undefined);
  readonly #bytes = new Uint8Array(slots * longestKept);
  readonly #lengths = new Uint8Array(slots);

  /** The UTF-8 from `from` to `to`, decoded. */
  textAt(bytes: Buffer, from: number, to: number): string {
    const length = to - from;
    if (length > longestKept) return bytes.toString('utf8', from, to);
    let hash = length;
    // FNV-1a, as far as it goes in 32 bits.
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
    const slot = (hash ^ (hash >>> 16)) & (slots - 1);
    const text = this.#texts[slot];
    if (text !== undefined && this.#holds(slot, bytes, from, length)) return text;
    const made = bytes.toString('utf8', from, to);
    this.#texts[slot] = made;
    this.#bytes.set(bytes.subarray(from, to), slot * longestKept);
    this.#lengths[slot] = length;
    return made;
  }

  #holds(slot: number, bytes: Buffer, from: number, length: number): boolean {
    if (this.#lengths[slot] !== length) return false;
    const kept = this.#bytes;
    const start = slot * longestKept;
    for (let at = 0; at < length; at++) if (kept[start + at] !== bytes[from + at]) return false;
    return true;
  }
}
