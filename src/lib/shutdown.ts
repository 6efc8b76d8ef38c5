/** After `stop` begin nothing new; after `kill` drop what is in hand. */
export interface ShutdownSignals {
  readonly graceful: AbortSignal;
  readonly forced: AbortSignal;
}

/**
 * A shorter signals inside `outer`; `end` stops it and lets go of `outer`.
 * (AbortSignal.any on a signal that lives for ever grows with each call.)
 */
export function childScope(outer: ShutdownSignals): ShutdownSignals & { end(): void } {
  const scope = new AbortController();
  const end = () => {
    scope.abort(outer.graceful.reason);
    outer.graceful.removeEventListener('abort', end);
  };
  if (outer.graceful.aborted) end();
  else outer.graceful.addEventListener('abort', end);
  return { forced: outer.forced, graceful: scope.signal, end };
}

/**
 * A signals inside `outer` that outlasts its own stop by `graceMs()` milliseconds at most, asked for at the stop: then its `kill` fires, if that of
 * `outer` did not before. Dispose of it when all in it is over.
 */
export function scopeWithGrace(
  outer: ShutdownSignals,
  graceMs: () => number,
): ShutdownSignals & Disposable & { end(): void } {
  const { graceful, end } = childScope(outer);
  const kill = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    timer = setTimeout(() => kill.abort(new Error('out of time')), graceMs());
  };
  const onKill = () => kill.abort(outer.forced.reason);
  if (graceful.aborted) onStop();
  else graceful.addEventListener('abort', onStop, { once: true });
  if (outer.forced.aborted) onKill();
  else outer.forced.addEventListener('abort', onKill);
  return {
    graceful,
    forced: kill.signal,
    end,
    [Symbol.dispose]() {
      end();
      clearTimeout(timer);
      outer.forced.removeEventListener('abort', onKill);
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
export function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const done = () => resolve(undefined);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', done));
  });
}
