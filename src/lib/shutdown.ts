/** `graceful`: begin nothing new, finish what is in flight. `forced`: drop everything. */
export interface ShutdownSignals {
  readonly graceful: AbortSignal;
  readonly forced: AbortSignal;
}

/**
 * Signals whose `graceful` also fires when `end` is called. `end` also removes the listener on `outer`: AbortSignal.any on a
 * long-lived signal would grow with each call.
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

/** A longer timer would fire at once (setTimeout in Node's documentation). */
const maxTimerMs = 2 ** 31 - 1;

/**
 * A child scope whose `forced` fires `graceMs()` milliseconds after its `graceful`, or with that of `outer` if that is earlier.
 * `graceMs` is read when `graceful` fires; Infinity: `outer` alone decides. Dispose of the scope when everything in it has
 * ended.
 */
export function scopeWithGrace(
  outer: ShutdownSignals,
  graceMs: () => number,
): ShutdownSignals & Disposable & { end(): void } {
  const { graceful, end } = childScope(outer);
  const forced = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onGraceful = () => {
    const ms = graceMs();
    if (ms !== Number.POSITIVE_INFINITY)
      timer = setTimeout(() => forced.abort(new Error('out of time')), Math.min(ms, maxTimerMs));
  };
  const onForced = () => forced.abort(outer.forced.reason);
  if (graceful.aborted) onGraceful();
  else graceful.addEventListener('abort', onGraceful, { once: true });
  if (outer.forced.aborted) onForced();
  else outer.forced.addEventListener('abort', onForced);
  return {
    graceful,
    forced: forced.signal,
    end,
    [Symbol.dispose]() {
      end();
      clearTimeout(timer);
      outer.forced.removeEventListener('abort', onForced);
    },
  };
}

/** Resolves after `ms` milliseconds (at most 24.8 days), or without error as soon as `signal` fires. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, maxTimerMs));
    signal.addEventListener('abort', done);
  });
}

/**
 * The result of `promise`, or undefined as soon as `signal` fires. From then on the result of `promise` is dropped, a
 * rejection included.
 */
export function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const done = () => resolve(undefined);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', done));
  });
}
