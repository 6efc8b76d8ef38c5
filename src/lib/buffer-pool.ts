/** Larger pieces are not kept, bytes. */
const mostKept = 4 * 1024 ** 2;

/** One piece of memory that is used again and again, where a new one for each batch would keep the garbage collector busy. */
export class BufferPool {
  #kept: Buffer | undefined;

  /** At least so many bytes, of any content. Nobody else has them before they are given back. */
  take(bytes: number): Buffer {
    const kept = this.#kept;
    this.#kept = undefined;
    return kept !== undefined && kept.length >= bytes ? kept : Buffer.allocUnsafeSlow(bytes);
  }

  /** Nobody reads or writes `memory`, which was taken here, any more. */
  giveBack(memory: Buffer): void {
    if (memory.length <= mostKept) this.#kept = memory;
  }
}
