import { printable } from '../../lib/printable.ts';
import type { Secret } from '../../lib/secret.ts';
import { accepted, type Reason, reasons, type Verdict } from '../../lib/verdict.ts';
import type { Sent, SinkDeps } from '../sink.ts';
import type { SinkPlugin } from './api.ts';

/** Failures in a row that park the sink: a person must look at the plug-in. */
const failuresToPark = 10;
/** A plug-in runs in our thread: while it computes, nothing else does. */
const MAX_BLOCK_MS = 1_000;
const blockCheckMs = 250;
/** Longest wait for a plug-in to close. */
const CLOSE_MS = 5_000;

type Outcome<T> = { readonly value: T } | { readonly verdict: Verdict };

export const isFailure = <T>(outcome: Outcome<T>): outcome is { readonly verdict: Verdict } => 'verdict' in outcome;

/**
 * Between us and a plug-in: whatever it does becomes a verdict. A throw, an answer outside the union, a promise that does not settle
 * within `confirmWithin`: each is a named error and a `retry`, and after ten in a row a `stop`. A usable answer of any kind
 * ends the row.
 */
export class Guard {
  readonly #plugin: SinkPlugin;
  readonly #secrets: readonly Secret[];
  readonly #deps: SinkDeps;
  #failures = 0;

  constructor(plugin: SinkPlugin, secrets: readonly Secret[], deps: SinkDeps) {
    this.#plugin = plugin;
    this.#secrets = secrets;
    this.#deps = deps;
  }

  /** Reports an error that reached no caller if it is the plug-in's. So is what is no Error: our code throws nothing else. */
  claim(error: unknown, origin: string): boolean {
    const isError = error instanceof Error && !('code' in error && error.code === 'ERR_UNHANDLED_REJECTION');
    if (isError && !error.stack?.includes(origin)) return false;
    this.log('warn', `left an error unhandled: ${this.#line(error)}`);
    return true;
  }

  log(level: unknown, message: unknown): void {
    const event = level === 'warn' ? 'sink.warning' : 'sink.info';
    this.#deps.emit({ event, sink: this.#deps.name, topic: 'plugin', detail: this.#line(message) });
  }

  /** The verdict on a failure of the plug-in. */
  failed(what: string, reason: Reason = 'malformed'): Verdict {
    const { name, version } = this.#plugin.meta;
    const detail = printable(`plug-in ${name} ${version}: ${what}`, 500);
    this.#failures += 1;
    return this.#failures >= failuresToPark
      ? { kind: 'stop', reason, detail: `${detail} (${this.#failures} failures in a row)` }
      : { kind: 'retry', reason, detail };
  }

  /** Calls the plug-in; its result, or the verdict on its failure. @throws the reason of `forced` */
  async call<T>(what: string, work: () => T | Promise<T>, forced: AbortSignal): Promise<Outcome<T>> {
    using _ = this.#watchBlocking(what);
    const startedMs = performance.now();
    let promise: T | Promise<T>;
    try {
      promise = work();
    } catch (error) {
      return { verdict: this.failed(`${what} threw: ${this.#line(error)}`) };
    }
    this.#reportBlocking(what, performance.now() - startedMs);
    return this.#settled(what, Promise.resolve(promise), forced);
  }

  /** Calls the plug-in and checks its answer on a batch of `size` records. @throws the reason of `forced` */
  async answer(what: string, work: () => unknown, size: number, forced: AbortSignal): Promise<Verdict | Sent> {
    const outcome = await this.call(what, work, forced);
    if (isFailure(outcome)) return outcome.verdict;
    const { kind, confirmed } = (outcome.value ?? {}) as { readonly kind?: unknown; readonly confirmed?: unknown };
    if (kind !== 'sent') return this.#checked(what, outcome.value, size);
    if (typeof (confirmed as Promise<unknown> | undefined)?.then !== 'function')
      return this.failed(`${what} answered sent without a promise of a confirmation`);
    return { kind: 'sent', confirmed: this.#confirmed(Promise.resolve(confirmed as Promise<unknown>), size, forced) };
  }

  /** Closes the plug-in, and waits no longer than some seconds. */
  async dispose(work: () => unknown): Promise<void> {
    const late = AbortSignal.timeout(CLOSE_MS);
    try {
      const outcome = await this.call('asyncDispose', work, late);
      if (isFailure(outcome)) this.log('warn', 'detail' in outcome.verdict ? outcome.verdict.detail : '');
    } catch (error) {
      if (!late.aborted || error !== late.reason) throw error;
      this.log('warn', `did not close within ${CLOSE_MS} ms`);
    }
  }

  async #confirmed(promise: Promise<unknown>, size: number, forced: AbortSignal): Promise<Verdict> {
    const outcome = await this.#settled('the confirmation', promise, forced);
    return isFailure(outcome) ? outcome.verdict : this.#checked('the confirmation', outcome.value, size);
  }

  async #settled<T>(what: string, promise: Promise<T>, forced: AbortSignal): Promise<Outcome<T>> {
    const { confirmWithin } = this.#plugin;
    const late = Promise.withResolvers<Outcome<T>>();
    const timer = setTimeout(
      () => late.resolve({ verdict: this.failed(`${what} did not settle within ${confirmWithin} ms`, 'timeout') }),
      confirmWithin,
    );
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(forced.reason);
    forced.addEventListener('abort', onAbort);
    // A rejection that comes after the time is up is nobody's.
    const outcome = promise.then(
      (value): Outcome<T> => ({ value }),
      (error: unknown): Outcome<T> => ({ verdict: this.failed(`${what} threw: ${this.#line(error)}`) }),
    );
    try {
      forced.throwIfAborted();
      return await Promise.race([outcome, late.promise, aborted.promise]);
    } finally {
      clearTimeout(timer);
      forced.removeEventListener('abort', onAbort);
    }
  }

  /** The verdict, made anew from its known members, if it belongs to the union. */
  #checked(what: string, answer: unknown, size: number): Verdict {
    const { kind, reason, detail, afterMs, failedIndex, acceptedPrefix } = (answer ?? {}) as Record<string, unknown>;
    const isIndex = (value: unknown, most: number) =>
      value === undefined || (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most);
    if (!['accepted', 'retry', 'stop', 'reject'].includes(kind as string))
      return this.failed(`${what} answered ${this.#line(kind)}, which is no verdict`);
    if (kind === 'accepted') {
      this.#failures = 0;
      return accepted;
    }
    if (!reasons.includes(reason as Reason))
      return this.failed(`${what} answered ${kind} with an unknown reason: ${this.#line(reason)}`);
    if (typeof detail !== 'string' || detail === '') return this.failed(`${what} answered ${kind} without a detail`);
    if (afterMs !== undefined && !(typeof afterMs === 'number' && afterMs >= 0 && afterMs <= 2 ** 31 - 1))
      return this.failed(`${what} answered with an afterMs that is no time`);
    if (!isIndex(failedIndex, size - 1)) return this.failed(`${what} answered with a failedIndex outside the batch`);
    if (!isIndex(acceptedPrefix, size)) return this.failed(`${what} answered with an acceptedPrefix outside the batch`);
    this.#failures = 0;
    const verdict = { reason: reason as Reason, detail: this.#line(detail) };
    const prefix = acceptedPrefix === undefined ? {} : { acceptedPrefix: Number(acceptedPrefix) };
    if (kind === 'stop') return { kind, ...verdict };
    if (kind === 'retry') return { kind, ...verdict, ...prefix, ...(afterMs !== undefined && { afterMs }) };
    return {
      kind: 'reject',
      ...verdict,
      ...prefix,
      ...(failedIndex !== undefined && { failedIndex: Number(failedIndex) }),
    };
  }

  /** A timer that comes late while the plug-in works was held up, probably by it. */
  #watchBlocking(what: string): Disposable {
    let expectedMs = performance.now() + blockCheckMs;
    const timer = setInterval(() => {
      this.#reportBlocking(what, performance.now() - expectedMs);
      expectedMs = performance.now() + blockCheckMs;
    }, blockCheckMs);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  #reportBlocking(what: string, blockedMs: number): void {
    if (blockedMs > MAX_BLOCK_MS) this.log('warn', `${what} blocked the program for ${Math.round(blockedMs)} ms`);
  }

  /** One printable line without secrets. */
  #line(value: unknown): string {
    const text = value instanceof Error ? `${value.name}: ${value.message}` : String(value);
    const masked = this.#secrets.reduce(
      (line, secret) => (secret.reveal().length < 4 ? line : line.replaceAll(secret.reveal(), '[secret]')),
      text,
    );
    return printable(masked, 300);
  }
}
