import { type Body, bodyOf } from './pages.ts';

/** Where the audit log is read. */
const auditLogPath = '/api/public/v0/audit-logs';
/** What a restricted key must not read. */
const projectPath = '/api/public/v0/project';
/** Where `redirect` leads. */
export const loginPath = '/login';

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

/** What a request is worth: a page of the log, or an answer at once. */
export type Ruling =
  | { readonly kind: 'page'; readonly after: bigint; readonly count: number }
  | { readonly kind: 'answer'; readonly answer: Answer };

export interface Auth {
  readonly key: string;
  /** Whether `key` may read the audit log alone. */
  readonly restricted: boolean;
  /** Counts a request with `key`; the headers of the refusal where it was one too many. */
  admit(): Readonly<Record<string, string>> | undefined;
}

export interface SimulatedCall {
  readonly method: string;
  readonly path: string;
  /** Undefined where the target of the request is no URL. */
  readonly query: URLSearchParams | undefined;
  readonly authorization: string | undefined;
}

export const loginPage = '<!doctype html>\n<html><head><title>Sign in</title></head><body>Sign in</body></html>\n';

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const type = { 'Content-Type': 'application/json; charset=utf-8' };
  return { status, headers: { ...type, ...headers }, body: bodyOf(Buffer.from(JSON.stringify(value))) };
}

export function plain(
  status: number,
  body: string,
  type: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const described = { 'Content-Type': `${type}; charset=utf-8`, ...headers };
  return { status, headers: described, body: bodyOf(Buffer.from(body)) };
}

export const tooMany = (headers: Readonly<Record<string, string>>): Answer =>
  plain(429, 'Too many requests\n', 'text/plain', headers);

const answered = (answer: Answer): Ruling => ({ kind: 'answer', answer });
const refused = (status: number, message: string, headers?: Readonly<Record<string, string>>) =>
  answered(json(status, { message }, headers));

/** The rules of the API in the order in which it applies them: key, pace, reach, method, parameters. */
export function rule(asked: SimulatedCall, gate: Auth): Ruling {
  if (asked.query === undefined) return refused(400, 'the request target is no path');
  if (asked.path === loginPath) return answered(plain(200, loginPage, 'text/html'));
  if (!asked.path.startsWith('/api/')) return refused(404, 'not found');

  const problem = keyProblem(asked.authorization, gate.key);
  if (problem !== undefined) return refused(401, problem, { 'WWW-Authenticate': 'Bearer' });
  const wait = gate.admit();
  if (wait !== undefined) return answered(tooMany(wait));

  if (asked.path !== auditLogPath && gate.restricted) return refused(403, 'this API key may only read the audit log');
  if (asked.path !== auditLogPath && asked.path !== projectPath) return refused(404, 'not found');
  if (asked.method !== 'GET') return refused(405, 'method not allowed', { Allow: 'GET' });
  if (asked.path === projectPath)
    return answered(json(200, { projects: [{ id: '1', code: 'BISTRO', title: 'Bistro Delivery' }] }));

  const after = asked.query.get('after') ?? '0';
  if (!/^-?\d{1,40}$/.test(after)) return refused(400, 'after must be an integer');
  const count = asked.query.get('count') ?? '100';
  if (!/^\d{1,4}$/.test(count) || Number(count) < 1 || Number(count) > 1000)
    return refused(400, 'count must be an integer between 1 and 1000');
  return { kind: 'page', after: BigInt(after), count: Number(count) };
}

function keyProblem(authorization: string | undefined, key: string): string | undefined {
  if (authorization === undefined) return 'the Authorization header is missing';
  const [, scheme, token] = /^(\S+) +(\S+)$/.exec(authorization) ?? [];
  if (scheme === undefined || !/^(bearer|apikey)$/i.test(scheme)) return 'the Authorization scheme is unknown';
  return token === key ? undefined : 'the token matches no active API key';
}

/**
 * A sliding window: of the requests of any one second at most `limit` are let in. Those that were refused don't count.
 * `monotonic` returns milliseconds.
 */
export function slidingWindow(limit: number, monotonic: () => number): () => boolean {
  const admitted: number[] = [];
  return () => {
    if (limit === Number.POSITIVE_INFINITY) return true;
    const nowMs = monotonic();
    while (admitted[0] !== undefined && admitted[0] <= nowMs - 1000) admitted.shift();
    if (admitted.length >= limit) return false;
    admitted.push(nowMs);
    return true;
  };
}
