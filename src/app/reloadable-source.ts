import type { Config } from '../config/schema.ts';
import type { Cursor } from '../event/event.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import { SeenIds } from '../source/seen-ids.ts';
import { type Page, type Source, SourceStop } from '../source/source.ts';
import { buildSource, type SourceParts } from './build-source.ts';
import { keyIdentity, sourceIdentity } from './config-diff.ts';
import type { Context } from './context.ts';

interface Current {
  readonly config: Config;
  readonly signals: ReturnType<typeof childScope>;
  readonly parts: SourceParts;
}

/** The source of all pipelines of a tenant. A reload replaces it while they use it; they notice nothing. */
export class ReloadableSource implements Source, AsyncDisposable {
  readonly #ctx: Context;
  readonly #signals: ShutdownSignals;
  readonly #seen = new SeenIds();
  #readBefore: boolean;
  #current: Current;
  /** Replaced sources that are not closed yet. */
  readonly #closing = new Set<Promise<void>>();

  /** Requests nothing yet; ends with `signals`. @throws OpenSSL's error */
  constructor(config: Config, ctx: Context, signals: ShutdownSignals, readBefore: boolean) {
    this.#ctx = ctx;
    this.#signals = signals;
    this.#readBefore = readBefore;
    this.#current = this.#open(config);
  }

  get lastError(): string | undefined {
    return this.#current.parts.source.lastError;
  }

  page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined> {
    return this.#ask(signals, (source) => source.page(after, notBeforeMs, signals));
  }

  peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined> {
    return this.#ask(signals, (source) => source.peek(after, signals));
  }

  /** Replaces the source if `config` differs in it; reads in progress are repeated. @throws OpenSSL's error: then nothing changes */
  change(config: Config): void {
    const { config: before, signals, parts } = this.#current;
    if (sourceIdentity(config) === sourceIdentity(before)) return;
    this.#current = this.#open(config, this.#current);
    signals.end();
    const closing = close(parts).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#current.signals.end();
    await Promise.all([this.#current.parts[Symbol.asyncDispose](), ...this.#closing]);
  }

  #open(config: Config, before?: Current): Current {
    const signals = childScope(this.#signals);
    const scopeKnown = before?.parts.keyScope.isKnown === true && keyIdentity(config) === keyIdentity(before.config);
    const learned = {
      readBefore: this.#readBefore,
      rateLimiter: before?.parts.rateLimiter,
      seenIds: this.#seen,
      scopeKnown,
    };
    return { config, signals, parts: buildSource(config, this.#ctx, signals, learned) };
  }

  async #ask(signals: ShutdownSignals, ask: (source: Source) => Promise<Page | undefined>): Promise<Page | undefined> {
    for (;;) {
      const asked = this.#current;
      const page = await ask(asked.parts.source).catch((error: unknown) => {
        // A refusal of the replaced source says nothing about the current one.
        if (error instanceof SourceStop && asked !== this.#current) return undefined;
        throw error;
      });
      if (page !== undefined) this.#readBefore = true;
      if (page !== undefined || signals.graceful.aborted || asked === this.#current) return page;
    }
  }
}

async function close(parts: AsyncDisposable): Promise<void> {
  await parts[Symbol.asyncDispose]();
}
