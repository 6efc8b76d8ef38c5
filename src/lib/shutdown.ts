/** After `stop` begin nothing new; after `kill` drop what is in hand. */
export interface Life {
  readonly stop: AbortSignal;
  readonly kill: AbortSignal;
}

/**
 * A shorter life inside `outer`; `end` stops it and lets go of `outer`.
 * (AbortSignal.any on a signal that lives for ever grows with each call.)
 */
export function within(outer: Life): Life & { end(): void } {
  const scope = new AbortController();
  const end = () => {
    scope.abort(outer.stop.reason);
    outer.stop.removeEventListener('abort', end);
  };
  if (outer.stop.aborted) end();
  else outer.stop.addEventListener('abort', end);
  return { kill: outer.kill, stop: scope.signal, end };
}

/**
 * A life inside `outer` that outlasts its own stop by `graceMs()` milliseconds at most, asked for at the stop: then its `kill` fires, if that of
 * `outer` did not before. Dispose of it when all in it is over.
 */
export function mortal(outer: Life, graceMs: () => number): Life & Disposable & { end(): void } {
  const { stop, end } = within(outer);
  const kill = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    timer = setTimeout(() => kill.abort(new Error('out of time')), graceMs());
  };
  const onKill = () => kill.abort(outer.kill.reason);
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  if (outer.kill.aborted) onKill();
  else outer.kill.addEventListener('abort', onKill);
  return {
    stop,
    kill: kill.signal,
    end,
    [Symbol.dispose]() {
      end();
      clearTimeout(timer);
      outer.kill.removeEventListener('abort', onKill);
    },
  };
}

/** Resolves after `ms` milliseconds, or early, without error, when `signal` fires. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

/** What `promise` gives, or undefined as soon as `signal` fires. `promise` must never reject unseen elsewhere. */
export function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const done = () => resolve(undefined);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', done));
  });
}
