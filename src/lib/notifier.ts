/** Lets loops wait for "something changed" without polling. Each `wait` sees every `notify` that follows it. */
export class Notifier {
  readonly #waiting = new Set<() => void>();

  notify(): void {
    for (const done of [...this.#waiting]) done();
  }

  /** Resolves at the next `notify`, when `signal` fires, or after `timeoutMs` milliseconds. Never rejects. */
  wait(signal?: AbortSignal, timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      signal?.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }

  /** Calls `heed` at each `notify` until `signal` fires. */
  async each(signal: AbortSignal, heed: () => void): Promise<void> {
    for (;;) {
      await this.wait(signal);
      if (signal.aborted) return;
      heed();
    }
  }
}
