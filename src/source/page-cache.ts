import type { Cursor } from '../event/event.ts';
import { retryUntilSettled } from '../lib/backoff.ts';
import type { Notifier } from '../lib/notifier.ts';
import { type ShutdownSignals, untilAborted } from '../lib/shutdown.ts';
import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { AuditApi, Fetched } from './audit-api.ts';
import type { KeyScopeCheck } from './key-scope.ts';
import { type Page, type Source, SourceStop } from './source.ts';
import type { Refused } from './verdicts.ts';

export interface CachedSourceOptions {
  readonly api: AuditApi;
  readonly onKeyRejected: 'exit' | 'wait';
  readonly emit: Emit;
  readonly random: () => number;
  /** A SIGHUP: ask now. */
  readonly wake: Notifier;
  /** Whether the key can do more than read the audit log; looked at with the first page. */
  readonly restriction: KeyScopeCheck;
  /** Pages to keep for routes a little behind; 0 where there is one route. */
  readonly keepPages: number;
  /** The signals of the whole source; it ends with the process. */
  readonly signals: ShutdownSignals;
}

/** Bytes of text that kept pages may hold. */
const keepBytes = 16 * 1024 ** 2;
const keyWaitMs = 5 * 60_000;

/** One reader for all routes: what two want at one cursor is asked for once, and recent pages are kept for a while. */
export class CachedSource implements Source, AsyncDisposable {
  readonly #options: CachedSourceOptions;
  readonly #signals: ShutdownSignals;
  readonly #running = new Map<string, Promise<Page | undefined>>();
  #kept: Page[] = [];
  #stopped: SourceStop | undefined;
  readonly #troubles = new Map<string, string>();
  #key: 'unknown' | 'accepted' | 'refused' = 'unknown';
  #peeks = 0;
  /** Since when nothing came, monotonic; and how often it was asked for. */
  #outage: { sinceMs: number; attempts: number } | undefined;

  constructor(options: CachedSourceOptions) {
    this.#options = options;
    // Nothing is lost with a read that is broken off: it need not be waited for.
    this.#signals = { graceful: options.signals.graceful, forced: options.signals.graceful };
  }

  get trouble(): string | undefined {
    return this.#troubles.values().next().value;
  }

  async page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined> {
    const key = String(after);
    for (;;) {
      if (signals.graceful.aborted) return undefined;
      if (this.#stopped !== undefined) throw this.#stopped;
      const kept = this.#kept.find((page) => page.after === after && page.asked.monotonicMs >= notBeforeMs);
      if (kept !== undefined) return kept;
      const page = await untilAborted(
        signals.graceful,
        this.#running.get(key) ?? this.#start(key, () => this.#fetch(key, after)),
      );
      if (page === undefined) return undefined;
      // A request that was on its way before may not show what is new: ask again.
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

  #start(key: string, fetch: () => Promise<Page | undefined>): Promise<Page | undefined> {
    const running = fetch().finally(() => {
      this.#running.delete(key);
      this.#troubles.delete(key);
    });
    running.catch(() => {});
    this.#running.set(key, running);
    return running;
  }

  async #fetch(key: string, after: Cursor, most?: number): Promise<Page | undefined> {
    const { api, emit, random, wake } = this.#options;
    const signals = this.#signals;
    const verdict = await retryUntilSettled<Fetched | Stop | { kind: 'stopped' }>(
      async () => this.#patient((await api.fetch(after, signals, most)) ?? { kind: 'stopped' }),
      {
        firstMs: 1000,
        longestMs: 60_000,
        random,
        wake,
        onRetry: (verdict, attempt, waitMs) => {
          this.#troubles.set(key, verdict.detail);
          this.#outage ??= { sinceMs: performance.now(), attempts: 0 };
          this.#outage.attempts += 1;
          emit({ event: 'source.retry', reason: verdict.reason, detail: verdict.detail, attempt, waitMs });
        },
      },
      signals,
    ).catch((error): { kind: 'stopped' } => {
      if (signals.graceful.aborted) return { kind: 'stopped' };
      throw error;
    });
    switch (verdict.kind) {
      case 'page':
        this.#accepted();
        this.#recovered(key);
        if (most === undefined) this.#keep(verdict.page);
        await this.#lookAtKey(signals);
        return verdict.page;
      case 'stop':
        throw this.#stop(verdict);
      default:
        return undefined;
    }
  }

  /** With `onKeyRejected: wait` a refusal is waited out, told once as what it is. */
  #patient<A>(verdict: A | Retry | Stop | Refused): A | Retry | Stop {
    if (!isRefused(verdict) || this.#options.onKeyRejected === 'exit') return verdict as A | Retry | Stop;
    const { status, detail, causes, reason } = verdict;
    this.#key = 'refused';
    this.#options.emit({ event: 'source.refused', status, detail, causes, waitMs: keyWaitMs });
    return { kind: 'retry', reason, detail: `the API refuses the key: ${detail}`, afterMs: keyWaitMs };
  }

  /** @throws {SourceStop} where the key can do more than it may */
  async #lookAtKey(signals: ShutdownSignals): Promise<void> {
    const broad = await this.#options.restriction.look(signals);
    if (broad !== undefined) throw this.#stop(broad);
  }

  /** From here on there are no pages any more; said once. */
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
    if (this.#key === 'accepted') return;
    this.#key = 'accepted';
    this.#options.emit({ event: 'source.accepted' });
  }

  /** The outage is over when no request waits for its next try any more. */
  #recovered(key: string): void {
    this.#troubles.delete(key);
    if (this.#outage === undefined || this.#troubles.size > 0) return;
    const { attempts, sinceMs } = this.#outage;
    this.#outage = undefined;
    this.#options.emit({ event: 'source.recovered', attempts, outageMs: Math.round(performance.now() - sinceMs) });
  }

  #keep(page: Page): void {
    if (this.#options.keepPages === 0) return;
    this.#kept = [page, ...this.#kept.filter((other) => other.after !== page.after)].slice(0, this.#options.keepPages);
    while (this.#kept.reduce((sum, kept) => sum + bytesOf(kept), 0) > keepBytes) this.#kept.pop();
  }

  /** Waits for what is on its way; `life` must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#running.values(), this.#options.restriction.settled()]);
    this.#kept = [];
  }
}

function bytesOf(page: Page): number {
  // The events are views into one body.
  return page.events[0]?.text.buffer.byteLength ?? 0;
}

function isRefused(verdict: unknown): verdict is Refused {
  return typeof verdict === 'object' && verdict !== null && 'causes' in verdict;
}
