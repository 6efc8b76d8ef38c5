import type { Cursor } from '../event/event.ts';
import { retryUntilSettled } from '../lib/backoff.ts';
import type { Notifier } from '../lib/notifier.ts';
import { type ShutdownSignals, untilAborted } from '../lib/shutdown.ts';
import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { AuditApi, Fetched } from './audit-api.ts';
import type { KeyScopeCheck } from './key-scope.ts';
import { contractPatience, RefusalCheck, type RefusalPatience } from './refusal-check.ts';
import { type Page, type Source, SourceStop } from './source.ts';
import type { Refused } from './verdicts.ts';

export interface CachedSourceOptions {
  readonly api: AuditApi;
  readonly onKeyRejected: 'exit' | 'wait';
  readonly emit: Emit;
  readonly random: () => number;
  /** A SIGHUP: ask now. */
  readonly wake: Notifier;
  /** Whether the key can do more than read the audit log; checked with the first page. */
  readonly keyScope: KeyScopeCheck;
  /** Pages to cache for pipelines that are a little behind; 0 if there is one pipeline. */
  readonly maxCachedPages: number;
  /** The source ends with them. */
  readonly signals: ShutdownSignals;
  /** When a 401 is believed. Default: as in the contract. */
  readonly patience?: RefusalPatience;
}

/** Bytes of text that cached pages may hold. */
const MAX_CACHED_BYTES = 16 * 1024 ** 2;
/** With `onKeyRejected: wait`, milliseconds. */
const REJECTED_KEY_WAIT_MS = 5 * 60_000;

type Settled = Fetched | Stop | Refused | { readonly kind: 'stopped' };

/**
 * One reader for all pipelines: what two of them ask for at one cursor is requested once, and recent pages are cached for a
 * while. It retries what is passing for as long as it takes. What is not passing stops it for good: each later call throws
 * the same `SourceStop`.
 */
export class CachedSource implements Source, AsyncDisposable {
  readonly #options: CachedSourceOptions;
  readonly #signals: ShutdownSignals;
  readonly #running = new Map<string, Promise<Page | undefined>>();
  #cached: readonly Page[] = [];
  #stopped: SourceStop | undefined;
  /** Of the requests that wait for their next attempt, why. */
  readonly #errors = new Map<string, string>();
  #isAccepted = false;
  #peeks = 0;
  /** Since when no request has succeeded, monotonic milliseconds, and the failed attempts since. */
  #outage: { sinceMs: number; attempts: number } | undefined;

  constructor(options: CachedSourceOptions) {
    this.#options = options;
    // An aborted read loses nothing, so a stop does not wait for it.
    this.#signals = { graceful: options.signals.graceful, forced: options.signals.graceful };
  }

  get lastError(): string | undefined {
    return this.#errors.values().next().value ?? this.#options.keyScope.waitingFor;
  }

  async page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined> {
    const key = String(after);
    for (;;) {
      if (signals.graceful.aborted) return undefined;
      if (this.#stopped !== undefined) throw this.#stopped;
      const cached = this.#cached.find((page) => page.after === after && page.asked.monotonicMs >= notBeforeMs);
      if (cached !== undefined) return cached;
      const running = this.#running.get(key) ?? this.#start(key, () => this.#fetch(key, after));
      const page = await untilAborted(signals.graceful, running);
      if (page === undefined) return undefined;
      // A request that began earlier may not show what is new: ask again.
      if (page.asked.monotonicMs >= notBeforeMs) return page;
    }
  }

  async peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined> {
    if (this.#stopped !== undefined) throw this.#stopped;
    const key = `peek ${after} ${this.#peeks++}`;
    const page = await untilAborted(
      signals.graceful,
      this.#start(key, () => this.#fetch(key, after, 1)),
    );
    return page === undefined ? undefined : { ...page, events: page.events.slice(0, 1) };
  }

  /** Waits for running requests; the source's signals must have fired. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#running.values(), this.#options.keyScope.settled()]);
    this.#cached = [];
  }

  #start(key: string, fetch: () => Promise<Page | undefined>): Promise<Page | undefined> {
    const running = fetch().finally(() => {
      this.#running.delete(key);
      this.#errors.delete(key);
    });
    // Its callers see the rejection; one that left earlier must not make it an unhandled one.
    running.catch(() => {});
    this.#running.set(key, running);
    return running;
  }

  async #fetch(key: string, after: Cursor, count?: number): Promise<Page | undefined> {
    const signals = this.#signals;
    const verdict = await this.#settle(key, after, count).catch((error: unknown): Settled => {
      if (signals.forced.aborted && error === signals.forced.reason) return { kind: 'stopped' };
      throw error;
    });
    if (verdict.kind === 'stop') throw this.#stop(verdict);
    if (verdict.kind !== 'page') return undefined;
    this.#accepted();
    this.#recovered(key);
    const { keyScope } = this.#options;
    const broad = await keyScope.check(signals, this.#options);
    if (broad !== undefined) throw this.#stop(broad);
    // A stop may have ended the wait for the key's scope before it was known.
    if (keyScope.waitingFor !== undefined) return undefined;
    if (count === undefined) this.#cache(verdict.page);
    return verdict.page;
  }

  /** Repeats the request until its answer is not passing. */
  #settle(key: string, after: Cursor, count: number | undefined): Promise<Settled | Retry> {
    const { api, emit, random, wake, patience = contractPatience } = this.#options;
    const signals = this.#signals;
    const refusals = new RefusalCheck(api.apiKey, patience);
    return retryUntilSettled<Settled>(
      async () => {
        await refusals.beforeRequest(signals);
        const answer = await api.fetch(after, signals, count);
        if (answer === undefined) return { kind: 'stopped' };
        if (!isRefused(answer)) return answer;
        const believed = refusals.judge(answer);
        return isRefused(believed) ? this.#rejected(believed) : believed;
      },
      {
        firstMs: 1000,
        longestMs: 60_000,
        random,
        wake,
        onRetry: ({ reason, detail }, attempt, waitMs) => {
          this.#errors.set(key, detail);
          this.#outage ??= { sinceMs: performance.now(), attempts: 0 };
          this.#outage.attempts += 1;
          emit({ event: 'source.retry', reason, detail, attempt, waitMs });
        },
      },
      signals,
    );
  }

  /** With `onKeyRejected: wait` a rejected key is reported once as such, and tried again. */
  #rejected(refused: Refused): Refused | Retry {
    const { onKeyRejected, emit } = this.#options;
    if (onKeyRejected === 'exit') return refused;
    const { status, detail, causes, reason } = refused;
    this.#isAccepted = false;
    emit({ event: 'source.refused', status, detail, causes, waitMs: REJECTED_KEY_WAIT_MS });
    return { kind: 'retry', reason, detail: `API key rejected: ${detail}`, afterMs: REJECTED_KEY_WAIT_MS };
  }

  /** No pages from here on; reported once. */
  #stop(verdict: Stop | Refused): SourceStop {
    if (this.#stopped !== undefined) return this.#stopped;
    const { reason, detail } = verdict;
    if (isRefused(verdict)) {
      const { status, causes } = verdict;
      this.#options.emit({ event: 'source.refused', status, detail, causes });
    } else this.#options.emit({ event: 'source.stopped', reason, detail });
    this.#stopped = new SourceStop(reason === 'auth' ? 77 : reason === 'address' ? 78 : 70, detail);
    return this.#stopped;
  }

  #accepted(): void {
    if (this.#isAccepted) return;
    this.#isAccepted = true;
    this.#options.emit({ event: 'source.accepted' });
  }

  /** The outage ends when no request waits for its next attempt any more. */
  #recovered(key: string): void {
    this.#errors.delete(key);
    if (this.#outage === undefined || this.#errors.size > 0) return;
    const { attempts, sinceMs } = this.#outage;
    this.#outage = undefined;
    this.#options.emit({ event: 'source.recovered', attempts, outageMs: Math.round(performance.now() - sinceMs) });
  }

  #cache(page: Page): void {
    const { maxCachedPages } = this.#options;
    const pages = [page, ...this.#cached.filter((other) => other.after !== page.after)].slice(0, maxCachedPages);
    while (pages.reduce((sum, cached) => sum + bytesOf(cached), 0) > MAX_CACHED_BYTES) pages.pop();
    this.#cached = pages;
  }
}

/** The events of a page are views into one body. */
const bytesOf = (page: Page): number => page.events[0]?.text.buffer.byteLength ?? 0;

function isRefused(verdict: { readonly kind: string }): verdict is Refused {
  return 'causes' in verdict;
}
