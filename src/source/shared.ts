import type { Cursor } from '../core/event.ts';
import type { Observe } from '../core/happening.ts';
import { type Life, unless } from '../core/life.ts';
import type { Notifier } from '../core/notifier.ts';
import type { Retry, Stop } from '../core/verdict.ts';
import { insist } from '../net/retry.ts';
import type { AuditApi, Fetched } from './audit-api.ts';
import type { Refused } from './judge.ts';
import { type Page, type Source, SourceStop } from './source.ts';

export interface SharedOptions {
  readonly api: AuditApi;
  readonly onKeyRejected: 'exit' | 'wait';
  readonly observe: Observe;
  readonly random: () => number;
  /** A SIGHUP: ask now. */
  readonly wake: Notifier;
  /** Pages to keep for routes a little behind; 0 where there is one route. */
  readonly keepPages: number;
  /** The life of the whole source; it ends with the process. */
  readonly life: Life;
}

/** Bytes of text that kept pages may hold. */
const keepBytes = 16 * 1024 ** 2;
const keyWaitMs = 5 * 60_000;

/** One reader for all routes: what two want at one cursor is asked for once, and recent pages are kept for a while. */
export class SharedSource implements Source, AsyncDisposable {
  readonly #options: SharedOptions;
  readonly #life: Life;
  readonly #running = new Map<Cursor, Promise<Page | undefined>>();
  #kept: Page[] = [];
  #stopped: SourceStop | undefined;
  readonly #troubles = new Map<Cursor, string>();
  #key: 'unknown' | 'accepted' | 'refused' = 'unknown';
  /** Since when nothing came, monotonic; and how often it was asked for. */
  #outage: { sinceMs: number; attempts: number } | undefined;

  constructor(options: SharedOptions) {
    this.#options = options;
    // Nothing is lost with a read that is broken off: it need not be waited for.
    this.#life = { stop: options.life.stop, kill: options.life.stop };
  }

  get trouble(): string | undefined {
    return this.#troubles.values().next().value;
  }

  async page(after: Cursor, notBeforeMs: number, life: Life): Promise<Page | undefined> {
    for (;;) {
      if (life.stop.aborted) return undefined;
      if (this.#stopped !== undefined) throw this.#stopped;
      const kept = this.#kept.find((page) => page.after === after && page.asked.monotonicMs >= notBeforeMs);
      if (kept !== undefined) return kept;
      const page = await unless(life.stop, this.#running.get(after) ?? this.#start(after));
      if (page === undefined) return undefined;
      // A request that was on its way before may not show what is new: ask again.
      if (page.asked.monotonicMs >= notBeforeMs) return page;
    }
  }

  #start(after: Cursor): Promise<Page | undefined> {
    const running = this.#fetch(after).finally(() => {
      this.#running.delete(after);
      this.#troubles.delete(after);
    });
    running.catch(() => {});
    this.#running.set(after, running);
    return running;
  }

  async #fetch(after: Cursor): Promise<Page | undefined> {
    const { api, observe, random, wake } = this.#options;
    const life = this.#life;
    const verdict = await insist<Fetched | Stop | { kind: 'stopped' }>(
      async () => this.#patient((await api.fetch(after, life)) ?? { kind: 'stopped' }),
      {
        firstMs: 1000,
        longestMs: 60_000,
        random,
        wake,
        onRetry: (verdict, attempt, waitMs) => {
          this.#troubles.set(after, verdict.detail);
          this.#outage ??= { sinceMs: performance.now(), attempts: 0 };
          this.#outage.attempts += 1;
          observe({ event: 'source.retry', reason: verdict.reason, detail: verdict.detail, attempt, waitMs });
        },
      },
      life,
    ).catch((error): { kind: 'stopped' } => {
      if (life.stop.aborted) return { kind: 'stopped' };
      throw error;
    });
    switch (verdict.kind) {
      case 'page':
        this.#accepted();
        this.#recovered();
        this.#keep(verdict.page);
        return verdict.page;
      case 'stop':
        this.#stopped ??= this.#stop(verdict);
        throw this.#stopped;
      default:
        return undefined;
    }
  }

  /** With `onKeyRejected: wait` a refusal is waited out, told once as what it is. */
  #patient<A>(verdict: A | Retry | Stop | Refused): A | Retry | Stop {
    if (!isRefused(verdict) || this.#options.onKeyRejected === 'exit') return verdict as A | Retry | Stop;
    const { status, detail, causes, reason } = verdict;
    this.#key = 'refused';
    this.#options.observe({ event: 'source.refused', status, detail, causes });
    return { kind: 'retry', reason, detail: `the API refuses the key: ${detail}`, afterMs: keyWaitMs };
  }

  #stop(verdict: Stop | Refused): SourceStop {
    if (isRefused(verdict)) {
      const { status, detail, causes } = verdict;
      this.#options.observe({ event: 'source.refused', status, detail, causes });
    }
    return new SourceStop(verdict.reason === 'auth' ? 77 : verdict.reason === 'address' ? 78 : 70, verdict.detail);
  }

  #accepted(): void {
    if (this.#key === 'accepted') return;
    this.#key = 'accepted';
    this.#options.observe({ event: 'source.accepted' });
  }

  #recovered(): void {
    if (this.#outage === undefined) return;
    const { attempts, sinceMs } = this.#outage;
    this.#outage = undefined;
    this.#options.observe({ event: 'source.recovered', attempts, outageMs: Math.round(performance.now() - sinceMs) });
  }

  #keep(page: Page): void {
    if (this.#options.keepPages === 0) return;
    this.#kept = [page, ...this.#kept.filter((other) => other.after !== page.after)].slice(0, this.#options.keepPages);
    while (this.#kept.reduce((sum, kept) => sum + bytesOf(kept), 0) > keepBytes) this.#kept.pop();
  }

  /** Waits for what is on its way; `life` must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#running.values());
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
