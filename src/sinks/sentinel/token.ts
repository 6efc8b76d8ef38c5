import { type HttpAnswer, type HttpClient, type HttpRequest, httpClient } from '../../lib/http.ts';
import { printable } from '../../lib/printable.ts';
import { Secret, SecretSource, withoutSecret } from '../../lib/secret.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { failureVerdict, statusVerdict } from '../http-batch.ts';
import type { Credentials } from '../http-options.ts';
import type { SinkDeps } from '../sink.ts';
import type { SentinelOptions } from './options.ts';

/** A token is replaced this long before it expires, milliseconds; Entra's are valid for an hour or more. */
const RENEWAL_MARGIN_MS = 5 * 60_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Instance metadata service of a virtual machine (Azure, "How to use managed identities to acquire a token"). */
const METADATA_HOST = 'http://169.254.169.254';

interface Token {
  readonly value: Secret;
  /** By our clock, milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/**
 * The access token of an application or a managed identity, for the Logs Ingestion API. It is requested when it is first
 * needed, before it expires, and when the API refuses it; one request at a time, and the others wait for its result.
 */
export class EntraToken implements Credentials, Disposable {
  readonly #options: SentinelOptions;
  readonly #deps: SinkDeps;
  readonly #http: HttpClient;
  #token: Token | undefined;
  #pending: Promise<Token | Verdict> | undefined;

  constructor(options: SentinelOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    const isManaged = options.tenantId === undefined;
    this.#http = httpClient({
      timeoutMs: options.timeout,
      maxBodyBytes: MAX_ANSWER_BYTES,
      userAgent: `qasphere-siem-forwarder/${deps.version}`,
      tls: isManaged ? undefined : tlsMaterial(options.tls),
      // The metadata service answers only requests that come directly from this machine.
      ...(isManaged ? { env: {} } : { proxy: options.proxy, env: deps.env }),
    });
  }

  headers(): Readonly<Record<string, string>> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token.value.reveal()}` };
  }

  get secrets(): readonly SecretSource[] {
    const { clientSecret } = this.#options;
    const token = this.#token?.value;
    return [
      ...(clientSecret === undefined ? [] : [clientSecret]),
      ...(token === undefined ? [] : [new SecretSource(() => token)]),
    ];
  }

  /** Only 401 means the token; 403 is a missing role. */
  async renew(status: number, forced: AbortSignal): Promise<boolean> {
    if (status !== 401) return false;
    this.#token = undefined;
    return (await this.obtain(forced)) === undefined;
  }

  /** Makes sure that there is a token. @returns the verdict if there is none */
  async obtain(forced: AbortSignal): Promise<Verdict | undefined> {
    if (this.#token !== undefined && this.#deps.now() < this.#token.expiresAtMs - RENEWAL_MARGIN_MS) return undefined;
    const result = await this.#shared(forced);
    if ('kind' in result) {
      // The old one may still be valid for some minutes.
      return this.#token !== undefined && this.#deps.now() < this.#token.expiresAtMs ? undefined : result;
    }
    this.#token = result;
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  /** The result of the request that is under way, or of a new one. One that another caller aborted is replaced. */
  async #shared(forced: AbortSignal): Promise<Token | Verdict> {
    const other = this.#pending;
    if (other !== undefined) {
      const result = await other.catch(() => undefined); // its owner gets the error
      forced.throwIfAborted();
      if (result !== undefined) return result;
    }
    this.#pending = this.#request(forced).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #request(forced: AbortSignal): Promise<Token | Verdict> {
    const first = await this.#once(forced);
    const isRefused = 'kind' in first && first.kind === 'stop';
    return isRefused && this.#options.clientSecret?.refresh() === true ? this.#once(forced) : first;
  }

  async #once(forced: AbortSignal): Promise<Token | Verdict> {
    const request = this.#options.tenantId === undefined ? this.#managedIdentity() : this.#clientCredentials();
    const nowMs = this.#deps.now();
    const received = await this.#http.request(request, forced);
    const { origin, pathname } = new URL(request.url);
    if (received.kind === 'failure') {
      const verdict = failureVerdict(received, { events: 0, bytes: 0 });
      return { ...verdict, detail: `no token from ${origin}: ${verdict.detail}` };
    }
    const token = tokenIn(received, nowMs);
    if (token !== undefined) return token;
    const secret = this.#options.clientSecret?.current;
    const body = secret === undefined ? received.body : withoutSecret(secret, received.body);
    return refusal({ ...received, body }, origin + pathname, nowMs);
  }

  /** Microsoft identity platform, "OAuth 2.0 client credentials flow". */
  #clientCredentials(): HttpRequest {
    const { authority, tenantId = '', clientId = '', clientSecret, endpoint } = this.#options;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret?.current.reveal() ?? '',
      scope: `${audience(endpoint)}/.default`,
    });
    return {
      method: 'POST',
      url: `${authority.replace(/\/+$/, '')}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: Buffer.from(form.toString()),
    };
  }

  /**
   * The managed identity: of App Service and Container Apps if their variables are set, else of a virtual machine, or of a
   * pod whose identity service is at AZURE_POD_IDENTITY_AUTHORITY_HOST.
   */
  #managedIdentity(): HttpRequest {
    const { clientId, endpoint } = this.#options;
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER, AZURE_POD_IDENTITY_AUTHORITY_HOST } = this.#deps.env;
    const query = new URLSearchParams({ resource: audience(endpoint), ...(clientId && { client_id: clientId }) });
    if (IDENTITY_ENDPOINT && IDENTITY_HEADER) {
      query.set('api-version', '2019-08-01');
      return { method: 'GET', url: `${IDENTITY_ENDPOINT}?${query}`, headers: { 'x-identity-header': IDENTITY_HEADER } };
    }
    query.set('api-version', '2018-02-01');
    const host = (AZURE_POD_IDENTITY_AUTHORITY_HOST || METADATA_HOST).replace(/\/+$/, '');
    return { method: 'GET', url: `${host}/metadata/identity/oauth2/token?${query}`, headers: { metadata: 'true' } };
  }
}

/** Whom the token is for: Azure Monitor of the cloud that the endpoint belongs to. */
function audience(endpoint: string): string {
  const { hostname } = new URL(endpoint);
  if (hostname.endsWith('.azure.us')) return 'https://monitor.azure.us/';
  if (hostname.endsWith('.azure.cn')) return 'https://monitor.azure.cn/';
  return 'https://monitor.azure.com/';
}

/** `access_token` and `expires_in` (RFC 6749 section 5.1; the metadata service sends the number as a string). */
function tokenIn({ status, body }: HttpAnswer, nowMs: number): Token | undefined {
  if (status !== 200) return undefined;
  const { access_token: token, expires_in: expiresIn } = membersOf(body);
  const seconds = Number(expiresIn);
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || !(seconds > 0)) return undefined;
  return { value: new Secret(token), expiresAtMs: nowMs + seconds * 1000 };
}

/** The verdict on an answer without a token; `error` and `error_codes` say why, and name no secret. */
function refusal(answer: HttpAnswer, url: string, nowMs: number): Verdict {
  const { status, body } = answer;
  const { error, error_codes: codes } = membersOf(body);
  const words = [typeof error === 'string' ? error : undefined, Array.isArray(codes) ? `AADSTS${codes[0]}` : undefined];
  const quoted = printable([`HTTP ${status}`, ...words.filter((word) => word !== undefined)].join(', '), 120);
  if (status === 400 || status === 401 || status === 403 || status === 404) {
    const remedy = 'correct tenantId, clientId and clientSecret, or assign a managed identity to this machine';
    return { kind: 'stop', reason: 'auth', detail: `no token from ${url}: ${remedy} (${quoted})` };
  }
  if (status === 200)
    return { kind: 'stop', reason: 'address', detail: `${url} answers without a token: correct authority (${quoted})` };
  const { verdict } = statusVerdict({ ...answer, body: Buffer.alloc(0) }, { events: 0, bytes: 0, url, nowMs });
  const detail = `no token from ${url} (${quoted})`;
  return verdict.kind === 'accepted' ? { kind: 'retry', reason: 'server', detail } : { ...verdict, detail };
}

function membersOf(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}
