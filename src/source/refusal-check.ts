import type { SecretSource } from '../lib/secret.ts';
import { type ShutdownSignals, sleep } from '../lib/shutdown.ts';
import type { Retry } from '../lib/verdict.ts';
import type { Refused } from './verdicts.ts';

export interface RefusalPatience {
  /** Without a key file: how long after the first 401 the second request is sent, milliseconds. */
  readonly secondRequestMs: number;
  /** How long a key file is read again, and how often, milliseconds. */
  readonly keyFileMs: number;
  readonly keyFileIntervalMs: number;
}

/** Contract section 3, `onKeyRejected`. */
export const contractPatience: RefusalPatience = {
  secondRequestMs: 5_000,
  keyFileMs: 30_000,
  keyFileIntervalMs: 1_000,
};

/**
 * Decides whether a 401 is believed, for one page. One 401 can be a server's mistake, and while a secret is rotated its
 * file can be empty, missing or stale for a moment. So after the first 401 a second request must get it too: after a few
 * seconds, or, with a key file, once the file has another key or has been read again for a while. 402 and 403 do not
 * depend on the key's text and are believed at once.
 */
export class RefusalCheck {
  readonly #apiKey: SecretSource;
  readonly #patience: RefusalPatience;
  /** When the first 401 came, monotonic milliseconds. */
  #firstMs: number | undefined;
  #keyChanged = false;

  constructor(apiKey: SecretSource, patience: RefusalPatience) {
    this.#apiKey = apiKey;
    this.#patience = patience;
  }

  /** The refusal if it is believed, else a reason to ask again. */
  judge(refused: Refused): Refused | Retry {
    const { secondRequestMs, keyFileMs } = this.#patience;
    if (refused.status !== 401) return refused;
    const isFile = this.#apiKey.path !== undefined;
    // Another key than the one that was refused first has its own chance.
    if (this.#keyChanged) this.#firstMs = undefined;
    this.#keyChanged = false;
    this.#firstMs ??= performance.now();
    const leftMs = this.#firstMs + (isFile ? keyFileMs : secondRequestMs) - performance.now();
    if (leftMs <= 0) return refused;
    const next = isFile
      ? `the key file is read again for up to ${keyFileMs / 1000} s`
      : 'a second 401 will be taken for a rejected key';
    const afterMs = isFile ? 1 : Math.ceil(leftMs);
    return { kind: 'retry', reason: 'server', detail: `${refused.detail} (${next})`, afterMs };
  }

  /** Waits after a first 401 until the key file has another key, or has had its time. */
  async beforeRequest(signals: ShutdownSignals): Promise<void> {
    const { keyFileMs, keyFileIntervalMs } = this.#patience;
    if (this.#firstMs === undefined || this.#apiKey.path === undefined) return;
    while (!signals.graceful.aborted && performance.now() < this.#firstMs + keyFileMs) {
      this.#keyChanged = this.#apiKey.refresh();
      if (this.#keyChanged) return;
      await sleep(keyFileIntervalMs, signals.graceful);
    }
  }
}
