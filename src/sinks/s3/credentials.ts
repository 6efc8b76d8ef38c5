import { readFile } from 'node:fs/promises';
import { type HttpClient, type HttpRequest, httpClient } from '../../lib/http.ts';
import { errorText } from '../../lib/network-error.ts';
import { printable } from '../../lib/printable.ts';
import { Secret } from '../../lib/secret.ts';
import type { Stop, Verdict } from '../../lib/verdict.ts';
import { failureVerdict, statusVerdict } from '../http-batch.ts';
import type { SinkDeps } from '../sink.ts';
import type { S3Options } from './options.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret | undefined;
  /** Milliseconds since the epoch; undefined: they do not expire. */
  readonly expiresAtMs?: number | undefined;
}

/** Temporary credentials are replaced this long before they expire, milliseconds. */
const RENEWAL_MARGIN_MS = 5 * 60_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Longest wait for the metadata of the machine, milliseconds. */
const METADATA_TIMEOUT_MS = 5_000;
const METADATA_ORIGIN = 'http://169.254.169.254';
const CONTAINER_ORIGIN = 'http://169.254.170.2';

/**
 * The credentials of requests, from the first of these that is configured, as the AWS SDKs have it: the options, the
 * environment variables, a web identity (Kubernetes service account), the container (ECS, EKS Pod Identity), the machine
 * (IMDSv2). Temporary ones are replaced before they expire and when they are refused.
 */
export class CredentialSource implements Disposable {
  readonly #options: S3Options;
  readonly #deps: SinkDeps;
  /** The machine and the container answer only direct requests. */
  readonly #local: HttpClient;
  readonly #public: HttpClient;
  #current: AwsCredentials | undefined;

  constructor(options: S3Options, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    const common = { maxBodyBytes: MAX_ANSWER_BYTES, userAgent: `qasphere-siem-forwarder/${deps.version}` };
    this.#local = httpClient({ ...common, timeoutMs: METADATA_TIMEOUT_MS, env: {} });
    this.#public = httpClient({ ...common, timeoutMs: options.timeout, proxy: options.proxy, env: deps.env });
  }

  /** @returns the verdict if there are none @throws the reason of `forced` */
  async get(forced: AbortSignal): Promise<AwsCredentials | Verdict> {
    const { expiresAtMs = Number.POSITIVE_INFINITY } = this.#current ?? {};
    if (this.#current !== undefined && this.#deps.now() < expiresAtMs - RENEWAL_MARGIN_MS) return this.#current;
    const found = await this.#find(forced);
    if ('kind' in found) return this.#current !== undefined && this.#deps.now() < expiresAtMs ? this.#current : found;
    // What does not expire is found without a request, and its file may have been read again (SIGHUP).
    this.#current = found.expiresAtMs === undefined ? undefined : found;
    return found;
  }

  /** They were refused: whether there may be others now. */
  renew(): boolean {
    const before = this.#current;
    this.#current = undefined;
    return this.#options.secretAccessKey?.refresh() === true || before?.expiresAtMs !== undefined;
  }

  [Symbol.dispose](): void {
    this.#local[Symbol.dispose]();
    this.#public[Symbol.dispose]();
  }

  async #find(forced: AbortSignal): Promise<AwsCredentials | Verdict> {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#options;
    if (accessKeyId !== undefined && secretAccessKey !== undefined)
      return { accessKeyId, secretAccessKey: secretAccessKey.current, sessionToken: sessionToken?.current };
    const { env } = this.#deps;
    if (env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY)
      return {
        accessKeyId: env.AWS_ACCESS_KEY_ID,
        secretAccessKey: new Secret(env.AWS_SECRET_ACCESS_KEY),
        sessionToken: env.AWS_SESSION_TOKEN ? new Secret(env.AWS_SESSION_TOKEN) : undefined,
      };
    if (env.AWS_WEB_IDENTITY_TOKEN_FILE && env.AWS_ROLE_ARN)
      return this.#webIdentity(env.AWS_WEB_IDENTITY_TOKEN_FILE, env.AWS_ROLE_ARN, forced);
    const container =
      env.AWS_CONTAINER_CREDENTIALS_FULL_URI ||
      (env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI && CONTAINER_ORIGIN + env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI);
    return container ? this.#container(container, forced) : this.#machine(forced);
  }

  /** STS, AssumeRoleWithWebIdentity, which takes no signature. */
  async #webIdentity(tokenFile: string, role: string, forced: AbortSignal): Promise<AwsCredentials | Verdict> {
    const token = await textOf(tokenFile, 'AWS_WEB_IDENTITY_TOKEN_FILE');
    if (typeof token !== 'string') return token;
    const { env } = this.#deps;
    const endpoint =
      env.AWS_ENDPOINT_URL_STS || `https://sts.${this.#options.region}.${awsDomain(this.#options.region)}`;
    const form = new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: role,
      RoleSessionName: env.AWS_ROLE_SESSION_NAME || 'qasphere-siem-forwarder',
      WebIdentityToken: token,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    const request = { method: 'POST', url: `${endpoint}/`, headers, body: Buffer.from(form.toString()) } as const;
    const answer = await this.#ask(this.#public, request, forced);
    if (typeof answer !== 'string') return answer;
    // JSON on request; other implementations answer XML all the same.
    return credentialsIn(answer, 'SecretAccessKey', 'SessionToken') ?? unreadable(endpoint);
  }

  /** ECS and EKS Pod Identity ("Container credential provider"). */
  async #container(url: string, forced: AbortSignal): Promise<AwsCredentials | Verdict> {
    const { AWS_CONTAINER_AUTHORIZATION_TOKEN: token, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file } = this.#deps.env;
    const authorization = file ? await textOf(file, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE') : token;
    if (typeof authorization === 'object') return authorization;
    const headers: Record<string, string> = authorization ? { authorization } : {};
    const answer = await this.#ask(this.#local, { method: 'GET', url, headers }, forced);
    return typeof answer === 'string' ? (credentialsIn(answer, 'SecretAccessKey', 'Token') ?? unreadable(url)) : answer;
  }

  /** EC2, "Use IMDSv2": a token first, then the name of the role, then its credentials. */
  async #machine(forced: AbortSignal): Promise<AwsCredentials | Verdict> {
    const origin = (this.#deps.env.AWS_EC2_METADATA_SERVICE_ENDPOINT || METADATA_ORIGIN).replace(/\/+$/, '');
    const roles = `${origin}/latest/meta-data/iam/security-credentials/`;
    const wanted = { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' };
    const put = { method: 'PUT', url: `${origin}/latest/api/token`, headers: wanted, body: Buffer.alloc(0) } as const;
    const token = await this.#ask(this.#local, put, forced);
    if (typeof token !== 'string') return token;
    const headers = { 'x-aws-ec2-metadata-token': token.trim() };
    const role = await this.#ask(this.#local, { method: 'GET', url: roles, headers }, forced);
    if (typeof role !== 'string') return role;
    const url = roles + encodeURIComponent(role.split('\n')[0]?.trim() ?? '');
    const answer = await this.#ask(this.#local, { method: 'GET', url, headers }, forced);
    return typeof answer === 'string' ? (credentialsIn(answer, 'SecretAccessKey', 'Token') ?? unreadable(url)) : answer;
  }

  /** The body of an answer 200. */
  async #ask(http: HttpClient, request: HttpRequest, forced: AbortSignal): Promise<string | Verdict> {
    const received = await http.request(request, forced);
    const { origin, pathname } = new URL(request.url);
    const from = `no AWS credentials from ${origin}${pathname}`;
    const remedy = 'set accessKeyId and secretAccessKey, or give this machine or service account a role';
    if (received.kind === 'failure') {
      const verdict = failureVerdict(received, { events: 0, bytes: 0 });
      return { ...verdict, detail: `${from}: ${verdict.detail}; ${remedy}` };
    }
    const { status, body } = received;
    if (status === 200) return body.toString('utf8');
    if (status >= 400 && status < 500 && status !== 429 && status !== 408) {
      return { kind: 'stop', reason: 'auth', detail: `${from}: HTTP ${status}: ${remedy}` };
    }
    const about = { events: 0, bytes: 0, url: origin + pathname, nowMs: this.#deps.now() };
    const { verdict } = statusVerdict({ ...received, body: Buffer.alloc(0) }, about);
    const reason = verdict.kind === 'accepted' ? 'server' : verdict.reason;
    return { kind: 'retry', reason, detail: `${from}: HTTP ${status}` };
  }
}

/** Domain of the services of AWS in a region. */
export const awsDomain = (region: string) => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');

/** Members of JSON, or elements of XML, wherever they are: every provider nests them in another way. */
function credentialsIn(answer: string, secretName: string, tokenName: string): AwsCredentials | undefined {
  const value = (name: string) =>
    new RegExp(`"${name}"\\s*:\\s*"([^"\\\\]+)"`).exec(answer)?.[1] ??
    new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer)?.[1];
  const [accessKeyId, secret, token] = [value('AccessKeyId'), value(secretName), value(tokenName)];
  if (accessKeyId === undefined || secret === undefined) return undefined;
  const seconds = /"Expiration"\s*:\s*(\d[\d.]*(?:E\+?\d+)?)/i.exec(answer)?.[1];
  const expiresAtMs = seconds === undefined ? Date.parse(value('Expiration') ?? '') : Number(seconds) * 1000;
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    sessionToken: token === undefined ? undefined : new Secret(token),
    // Without a readable time they are replaced only when they are refused.
    expiresAtMs: Number.isNaN(expiresAtMs) ? Number.MAX_SAFE_INTEGER : expiresAtMs,
  };
}

async function textOf(path: string, variable: string): Promise<string | Stop> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return {
      kind: 'stop',
      reason: 'auth',
      detail: printable(`the file of ${variable} can't be read: ${errorText(error)}`),
    };
  }
}

const unreadable = (url: string): Verdict => {
  const { origin } = new URL(url);
  return { kind: 'retry', reason: 'server', detail: `the answer of ${origin} contains no AWS credentials` };
};
