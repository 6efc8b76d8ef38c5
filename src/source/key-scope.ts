import { retryUntilSettled } from '../lib/backoff.ts';
import type { HttpClient } from '../lib/http.ts';
import { retryAfterMs } from '../lib/http-answer.ts';
import type { Notifier } from '../lib/notifier.ts';
import type { SecretSource } from '../lib/secret.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Retry, Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { RateLimiter } from './rate-limiter.ts';

export interface KeyScopeOptions {
  readonly origin: string;
  readonly apiKey: SecretSource;
  readonly authScheme: 'Bearer' | 'ApiKey';
  readonly http: HttpClient;
  readonly rateLimiter: RateLimiter;
  readonly emit: Emit;
  readonly policy: 'warn' | 'require' | 'off';
  /** A source before this one knew the scope of the current key, and it may be used. */
  readonly isKnown?: boolean;
}

/** What the key may do: read the audit log alone, or more. */
export interface KeyScope {
  readonly kind: 'restricted' | 'broad';
  /** What another endpoint answered. */
  readonly detail: string;
}

export interface KeyScopeRetry {
  readonly random: () => number;
  /** A SIGHUP: ask now. */
  readonly wake: Notifier;
}

const path = '/api/public/v0/project';
const remedy = 'replace it by a key whose name begins with SIEM-LOG-ONLY: such a key can read the audit log alone';
const backoff = { firstMs: 1_000, longestMs: 60_000 };

/**
 * Finds out whether the key can do more than read the audit log: requests another endpoint, to which a restricted key gets
 * 403, and closes the connection after the status line. Any other answer than 403 and 2xx decides nothing, and the
 * question is repeated until one does. A key that replaces it (`apiKeyFile`) is asked about again.
 *
 * States: not asked; asking; known. With `warn` the events flow in all of them. With `require` nothing is delivered before
 * `known`, and a key that can do more stops the source: an unclear answer must not pass for a good one.
 */
export class KeyScopeCheck {
  readonly #options: KeyScopeOptions;
  #asking: Promise<Stop | undefined> | undefined;
  /** The key whose scope is known. */
  #knownKey: string | undefined;
  #waitingFor: string | undefined;

  constructor(options: KeyScopeOptions) {
    this.#options = options;
    if (options.isKnown === true) this.#knownKey = options.apiKey.current.reveal();
  }

  /**
   * Starts to ask when it is first called. With `require` it resolves when the scope is known, with a stop if the key can
   * do more; else at once, and `settled` resolves when no question is open. Undefined if `signals` end it.
   */
  async check(signals: ShutdownSignals, retry: KeyScopeRetry): Promise<Stop | undefined> {
    const { policy, apiKey } = this.#options;
    if (policy === 'off') return undefined;
    if (this.#knownKey !== undefined && this.#knownKey !== apiKey.current.reveal()) {
      this.#knownKey = undefined;
      this.#asking = undefined;
    }
    if (this.#knownKey === undefined) this.#asking ??= this.#untilKnown(signals, retry);
    return policy === 'require' ? this.#asking : undefined;
  }

  /** Whether the scope is known, or need not be. */
  get isKnown(): boolean {
    return this.#knownKey !== undefined || this.#options.policy === 'off';
  }

  /** Why nothing is delivered, if that is because the scope is not known yet. */
  get waitingFor(): string | undefined {
    return this.#options.policy === 'require' ? this.#waitingFor : undefined;
  }

  /** Resolves when nothing is being asked any more. */
  async settled(): Promise<void> {
    await this.#asking;
  }

  async #untilKnown(signals: ShutdownSignals, { random, wake }: KeyScopeRetry): Promise<Stop | undefined> {
    const { policy, emit, apiKey } = this.#options;
    let key = '';
    const onRetry = ({ detail }: Retry) => {
      const unknown = `whether the API key can do more than read the audit log is not known yet: ${detail}`;
      // Repeated only if the reason changes: the question may be repeated for hours.
      if (unknown !== this.#waitingFor) emit({ event: 'source.key_scope', scope: 'unknown', detail: unknown });
      this.#waitingFor = unknown;
    };
    const scope = await retryUntilSettled<KeyScope | { readonly kind: 'stopped' }>(
      async () => {
        key = apiKey.current.reveal();
        return (await this.ask(signals)) ?? { kind: 'stopped' };
      },
      { ...backoff, random, wake, onRetry },
      signals,
    ).catch((error: unknown) => {
      if (signals.forced.aborted && error === signals.forced.reason) return undefined;
      throw error;
    });
    if (scope?.kind !== 'restricted' && scope?.kind !== 'broad') return undefined;
    this.#knownKey = key;
    this.#waitingFor = undefined;
    if (scope.kind === 'restricted') {
      emit({ event: 'source.key_scope', scope: 'restricted', detail: 'the API key can read the audit log alone' });
      return undefined;
    }
    const detail = `the API key can do more than read the audit log: ${remedy}`;
    if (policy === 'require') return { kind: 'stop', reason: 'auth', detail: `${detail} (restrictedKey: require)` };
    emit({ event: 'daemon.warning', topic: 'restricted_key', detail });
    return undefined;
  }

  /** One request; undefined if `signals.graceful` fires before it. @throws the reason of `signals.forced` */
  async ask(signals: ShutdownSignals): Promise<KeyScope | Retry | undefined> {
    const { origin, apiKey, authScheme, http, rateLimiter } = this.#options;
    const answered = await rateLimiter.acquire(signals);
    if (answered === undefined) return undefined;
    const startedMs = performance.now();
    const authorization = `${authScheme} ${apiKey.current.reveal()}`;
    const outcome = await http.request(
      { method: 'GET', url: origin + path, headers: { authorization, accept: 'application/json' }, statusOnly: true },
      signals.forced,
    );
    answered(outcome.kind === 'answer' ? startedMs + outcome.sentMs : undefined);
    if (outcome.kind === 'failure') return { kind: 'retry', reason: 'network', detail: outcome.detail };
    const { status, headers } = outcome;
    const detail = `${path} answered ${status}`;
    if (status === 403) return { kind: 'restricted', detail };
    if (status >= 200 && status < 300) return { kind: 'broad', detail };
    const afterMs = retryAfterMs(headers['retry-after'], Date.now());
    if (status === 429) rateLimiter.pause(afterMs ?? 1_000);
    return { kind: 'retry', reason: 'server', detail, ...(afterMs !== undefined && { afterMs }) };
  }
}
