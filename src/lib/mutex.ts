/** Runs pieces of work one after the other, in the order of the calls. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const taken = this.#last.then(work);
    // The caller gets the error; the next piece of work only waits for the end of this one.
    this.#last = Promise.allSettled([taken]);
    return taken;
  }
}
