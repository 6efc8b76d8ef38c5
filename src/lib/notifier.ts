const MAX_TIMER_MS = 2 ** 31 - 1;

/** Lets loops wait for "something changed" without polling. Each `wait` sees every `notify` that follows it. */
export class Notifier {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  notify(): void {
    this.#count += 1;
    for (const done of [...this.#waiting]) done();
  }

  /**
   * Resolves at the next `notify`, when `signal` fires, or after `timeoutMs` milliseconds, at the latest after 24 days (the
   * longest that a timer of Node's can run; a longer one would fire at once). Never rejects.
   */
  wait(signal?: AbortSignal, timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, Math.min(timeoutMs, MAX_TIMER_MS));
      signal?.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }

  /**
   * Calls `handle` after each `notify` until `signal` fires. With `since: 'start'` a `notify` from before this call counts
   * too: several of them are one.
   */
  async each(signal: AbortSignal, handle: () => void | Promise<void>, since: 'start' | 'now' = 'now'): Promise<void> {
    let handled = since === 'start' ? 0 : this.#count;
    while (!signal.aborted) {
      if (this.#count > handled) {
        handled = this.#count;
        await handle();
      } else await this.wait(signal);
    }
  }
}
