import type { HttpClient } from '../lib/http.ts';
import type { SecretSource } from '../lib/secret.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Stop } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { RateLimiter } from './rate-limiter.ts';

export interface KeyScopeOptions {
  readonly origin: string;
  readonly apiKey: SecretSource;
  readonly authScheme: 'Bearer' | 'ApiKey';
  readonly http: HttpClient;
  readonly pace: RateLimiter;
  readonly emit: Emit;
  readonly policy: 'warn' | 'require' | 'off';
}

/** What was learnt of the key. */
export type KeyScope = 'restricted' | 'broad' | 'unknown';

const path = '/api/public/v0/project';
const remedy = 'replace it by a key whose name begins with SIEM-LOG-ONLY-: such a key can read the audit log alone';

/**
 * Asks another endpoint with the key, once in the signals of this object, and closes the connection after the status line:
 * a restricted key is answered 403. Nothing is read, nothing stored.
 */
export class KeyScopeCheck {
  readonly #options: KeyScopeOptions;
  #looking: Promise<Stop | undefined> | undefined;
  #isKnown = false;

  constructor(options: KeyScopeOptions) {
    this.#options = options;
  }

  /**
   * Looks, the first time it is called. With `require` it resolves when the answer is there, to a stop where the key can
   * do more; else at once: `settled` tells when it is over.
   */
  async look(signals: ShutdownSignals): Promise<Stop | undefined> {
    const { policy } = this.#options;
    if (policy === 'off') return undefined;
    this.#looking ??= this.#once(signals);
    return policy === 'require' ? this.#looking : undefined;
  }

  /** Whether the key was looked at, or need not be: what was found is told. */
  get isKnown(): boolean {
    return this.#isKnown || this.#options.policy === 'off';
  }

  /** Resolves when nothing is being asked any more. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  async #once(signals: ShutdownSignals): Promise<Stop | undefined> {
    const { policy, emit } = this.#options;
    const found = await this.ask(signals).catch(() => undefined);
    // Broken off by the end of `life`.
    if (found === undefined) return undefined;
    this.#isKnown = true;
    const { scope, said } = found;
    const detail = {
      restricted: 'the API key can read the audit log alone, as it should',
      broad: `the API key can do more than read the audit log: ${remedy}`,
      unknown: `whether the API key can do more than read the audit log is unknown: ${said}`,
    }[scope];
    if (scope !== 'broad') emit({ event: 'source.key_scope', scope, detail });
    else if (policy === 'require')
      return { kind: 'stop', reason: 'auth', detail: `${detail} (restrictedKey: require)` };
    else emit({ event: 'daemon.warning', topic: 'restricted_key', detail });
    return undefined;
  }

  /** One request. */
  async ask(signals: ShutdownSignals): Promise<{ scope: KeyScope; said: string }> {
    const { origin, apiKey, authScheme, http, pace } = this.#options;
    const answered = await pace.turn(signals);
    if (answered === undefined) return { scope: 'unknown', said: 'stopped' };
    const startedMs = performance.now();
    const authorization = `${authScheme} ${apiKey.current.reveal()}`;
    const outcome = await http.request(
      { method: 'GET', url: origin + path, headers: { authorization, accept: 'application/json' }, statusOnly: true },
      signals.forced,
    );
    answered(outcome.kind === 'answer' ? startedMs + outcome.sentMs : undefined);
    if (outcome.kind === 'failure') return { scope: 'unknown', said: outcome.detail };
    const scope = outcome.status === 403 ? 'restricted' : outcome.status === 200 ? 'broad' : 'unknown';
    return { scope, said: `${path} answered ${outcome.status}` };
  }
}
