import { inspect } from 'node:util';
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
/** How a promise of the plug-in ended. */
type Ending<T> = { readonly value: T } | { readonly error: unknown } | 'late';

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
    if (isError && !String(error.stack).includes(origin)) return false;
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

  /** Reads something of the plug-in's, which may be a getter. */
  read<T>(what: string, work: () => T): Outcome<T> {
    try {
      return { value: work() };
    } catch (error) {
      return { verdict: this.failed(`${what} threw: ${this.#line(error)}`) };
    }
  }

  /**
   * Calls the plug-in; its result, or the verdict on its failure. A result that comes when nothing waits for it any more goes to
   * `onLate`. @throws the reason of `forced`
   */
  async call<T>(
    what: string,
    work: () => T | Promise<T>,
    forced: AbortSignal,
    onLate?: (value: T) => void,
  ): Promise<Outcome<T>> {
    using _ = this.#watchBlocking(what);
    const startedMs = performance.now();
    const called = this.read(what, work);
    if (isFailure(called)) return called;
    this.#reportBlocking(what, performance.now() - startedMs);
    return this.#settled(what, called.value, forced, onLate);
  }

  /** Calls the plug-in and checks its answer on a batch of `size` records. @throws the reason of `forced` */
  async answer(what: string, work: () => unknown, size: number, forced: AbortSignal): Promise<Verdict | Sent> {
    const outcome = await this.call(what, work, forced);
    if (isFailure(outcome)) return outcome.verdict;
    const answer = this.read(`the answer of ${what}`, () => membersOf(outcome.value));
    if (isFailure(answer)) return answer.verdict;
    const { kind, confirmed } = answer.value;
    if (kind !== 'sent') return this.#checked(what, answer.value, size);
    if (!(confirmed instanceof Promise))
      return this.failed(`${what} answered sent without a promise of a confirmation`);
    return { kind: 'sent', confirmed: this.#confirmed(confirmed, size, forced) };
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
    if (isFailure(outcome)) return outcome.verdict;
    const answer = this.read('the confirmation', () => membersOf(outcome.value));
    return isFailure(answer) ? answer.verdict : this.#checked('the confirmation', answer.value, size);
  }

  async #settled<T>(
    what: string,
    result: T | Promise<T>,
    forced: AbortSignal,
    onLate?: (value: T) => void,
  ): Promise<Outcome<T>> {
    const { confirmWithin } = this.#plugin;
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), confirmWithin);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(forced.reason);
    forced.addEventListener('abort', onAbort);
    let isOver = false;
    const ending = endingOf(result).then((found) => {
      if (isOver && 'value' in found) onLate?.(found.value);
      return found;
    });
    try {
      forced.throwIfAborted();
      const found: Ending<T> = await Promise.race([ending, late.promise, aborted.promise]);
      if (found === 'late')
        return { verdict: this.failed(`${what} did not settle within ${confirmWithin} ms`, 'timeout') };
      return 'value' in found ? found : { verdict: this.failed(`${what} threw: ${this.#line(found.error)}`) };
    } finally {
      isOver = true;
      clearTimeout(timer);
      forced.removeEventListener('abort', onAbort);
    }
  }

  /** A copy of the verdict with its known members, if it belongs to the union. */
  #checked(what: string, answer: ReturnType<typeof membersOf>, size: number): Verdict {
    const { kind, reason, detail, afterMs, failedIndex, acceptedPrefix } = answer;
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

  /** One printable line without secrets. Calls no code of the value's own: it might throw too. */
  #line(value: unknown): string {
    const text = typeof value === 'string' ? value : inspect(value, { customInspect: false, depth: 0 }).split('\n')[0];
    const masked = this.#secrets.reduce(
      (line, secret) => (secret.reveal().length < 4 ? line : line.replaceAll(secret.reveal(), '[secret]')),
      text ?? '',
    );
    return printable(masked, 300);
  }
}

/** How it ends: nothing is thrown, also by a `then` of the plug-in's own. */
async function endingOf<T>(result: T | Promise<T>): Promise<Exclude<Ending<T>, 'late'>> {
  try {
    return { value: await result };
  } catch (error) {
    return { error };
  }
}

/** The members that an answer may have. @throws what a getter throws */
function membersOf(answer: unknown) {
  if (typeof answer !== 'object' || answer === null) return { kind: answer };
  const { kind, confirmed, reason, detail, afterMs, failedIndex, acceptedPrefix } = answer as Record<string, unknown>;
  return { kind, confirmed, reason, detail, afterMs, failedIndex, acceptedPrefix };
}
