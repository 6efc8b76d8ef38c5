import type { Config } from '../config/schema.ts';
import type { Cursor } from '../event/event.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import { SeenIds } from '../source/seen-ids.ts';
import { type Page, type Source, SourceStop } from '../source/source.ts';
import { buildSource, type SourceParts } from './build-source.ts';
import { keyIdentity, sourceIdentity } from './config-diff.ts';
import type { Context } from './context.ts';

interface InForce {
  readonly config: Config;
  readonly signals: ReturnType<typeof childScope>;
  readonly parts: SourceParts;
}

/** The source of all routes, which another configuration may replace under them without their notice. */
export class ReloadableSource implements Source, AsyncDisposable {
  readonly #ctx: Context;
  readonly #signals: ShutdownSignals;
  readonly #novelty = new SeenIds();
  #readBefore: boolean;
  #inForce: InForce;
  /** Of those that were replaced. */
  readonly #closing = new Set<Promise<void>>();

  /** Nothing is asked yet; it ends with `life`. @throws OpenSSL's error */
  constructor(config: Config, ctx: Context, signals: ShutdownSignals, readBefore: boolean) {
    this.#ctx = ctx;
    this.#signals = signals;
    this.#readBefore = readBefore;
    this.#inForce = this.#open(config);
  }

  get trouble(): string | undefined {
    return this.#inForce.parts.source.trouble;
  }

  page(after: Cursor, notBeforeMs: number, signals: ShutdownSignals): Promise<Page | undefined> {
    return this.#ask(signals, (source) => source.page(after, notBeforeMs, signals));
  }

  peek(after: Cursor, signals: ShutdownSignals): Promise<Page | undefined> {
    return this.#ask(signals, (source) => source.peek(after, signals));
  }

  /** Puts the source of `config` in force where it is another one; what is being read is then read anew. @throws OpenSSL's error, the old one stays */
  change(config: Config): void {
    const { config: before, signals, parts } = this.#inForce;
    if (sourceIdentity(config) === sourceIdentity(before)) return;
    this.#inForce = this.#open(config, this.#inForce);
    signals.end();
    const closing = close(parts).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inForce.signals.end();
    await Promise.all([this.#inForce.parts[Symbol.asyncDispose](), ...this.#closing]);
  }

  #open(config: Config, before?: InForce): InForce {
    const signals = childScope(this.#signals);
    const keyKnown = before?.parts.restriction.isKnown === true && keyIdentity(config) === keyIdentity(before.config);
    const pace = before?.parts.pace;
    const learnt = { readBefore: this.#readBefore, pace, novelty: this.#novelty, keyKnown };
    return { config, signals, parts: buildSource(config, this.#ctx, signals, learnt) };
  }

  async #ask(signals: ShutdownSignals, ask: (source: Source) => Promise<Page | undefined>): Promise<Page | undefined> {
    for (;;) {
      const asked = this.#inForce;
      const page = await ask(asked.parts.source).catch((error: unknown) => {
        // What the one before was refused says nothing of this one.
        if (error instanceof SourceStop && asked !== this.#inForce) return undefined;
        throw error;
      });
      if (page !== undefined) this.#readBefore = true;
      if (page !== undefined || signals.graceful.aborted || asked === this.#inForce) return page;
    }
  }
}

async function close(parts: AsyncDisposable): Promise<void> {
  await parts[Symbol.asyncDispose]();
}
