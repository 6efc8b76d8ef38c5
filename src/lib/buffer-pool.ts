/** Larger buffers are not stored, bytes. */
const MAX_STORED_BYTES = 4 * 1024 ** 2;

/** One buffer that is used again and again: a new one for each batch would keep the garbage collector busy. */
export class BufferPool {
  #stored: Buffer | undefined;

  /** A buffer of at least `bytes`, with any content; the caller owns it until it returns it. */
  take(bytes: number): Buffer {
    const stored = this.#stored;
    this.#stored = undefined;
    return stored !== undefined && stored.length >= bytes ? stored : Buffer.allocUnsafeSlow(bytes);
  }

  /** `buffer` was taken here, and nothing reads or writes it any more. */
  giveBack(buffer: Buffer): void {
    if (buffer.length <= MAX_STORED_BYTES) this.#stored = buffer;
  }
}
