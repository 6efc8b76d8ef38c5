import type { Config } from '../config/schema.ts';
import type { Cursor } from '../event/event.ts';
import { type Life, within } from '../lib/shutdown.ts';
import { Novelty } from '../source/seen-ids.ts';
import { type Page, type Source, SourceStop } from '../source/source.ts';
import { openShared, type SharedParts } from './build-source.ts';
import { keyIdentity, sourceIdentity } from './config-diff.ts';
import type { World } from './context.ts';

interface InForce {
  readonly config: Config;
  readonly life: ReturnType<typeof within>;
  readonly parts: SharedParts;
}

/** The source of all routes, which another configuration may replace under them without their notice. */
export class LiveSource implements Source, AsyncDisposable {
  readonly #world: World;
  readonly #life: Life;
  readonly #novelty = new Novelty();
  #readBefore: boolean;
  #inForce: InForce;
  /** Of those that were replaced. */
  readonly #closing = new Set<Promise<void>>();

  /** Nothing is asked yet; it ends with `life`. @throws OpenSSL's error */
  constructor(config: Config, world: World, life: Life, readBefore: boolean) {
    this.#world = world;
    this.#life = life;
    this.#readBefore = readBefore;
    this.#inForce = this.#open(config);
  }

  get trouble(): string | undefined {
    return this.#inForce.parts.source.trouble;
  }

  page(after: Cursor, notBeforeMs: number, life: Life): Promise<Page | undefined> {
    return this.#ask(life, (source) => source.page(after, notBeforeMs, life));
  }

  peek(after: Cursor, life: Life): Promise<Page | undefined> {
    return this.#ask(life, (source) => source.peek(after, life));
  }

  /** Puts the source of `config` in force where it is another one; what is being read is then read anew. @throws OpenSSL's error, the old one stays */
  change(config: Config): void {
    const { config: before, life, parts } = this.#inForce;
    if (sourceIdentity(config) === sourceIdentity(before)) return;
    this.#inForce = this.#open(config, this.#inForce);
    life.end();
    const closing = close(parts).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inForce.life.end();
    await Promise.all([this.#inForce.parts[Symbol.asyncDispose](), ...this.#closing]);
  }

  #open(config: Config, before?: InForce): InForce {
    const life = within(this.#life);
    const keyKnown = before?.parts.restriction.isKnown === true && keyIdentity(config) === keyIdentity(before.config);
    const pace = before?.parts.pace;
    const learnt = { readBefore: this.#readBefore, pace, novelty: this.#novelty, keyKnown };
    return { config, life, parts: openShared(config, this.#world, life, learnt) };
  }

  async #ask(life: Life, ask: (source: Source) => Promise<Page | undefined>): Promise<Page | undefined> {
    for (;;) {
      const asked = this.#inForce;
      const page = await ask(asked.parts.source).catch((error: unknown) => {
        // What the one before was refused says nothing of this one.
        if (error instanceof SourceStop && asked !== this.#inForce) return undefined;
        throw error;
      });
      if (page !== undefined) this.#readBefore = true;
      if (page !== undefined || life.stop.aborted || asked === this.#inForce) return page;
    }
  }
}

async function close(parts: AsyncDisposable): Promise<void> {
  await parts[Symbol.asyncDispose]();
}
