import type { IncomingHttpHeaders } from 'node:http';
import { httpDateMs, retryAfterMs } from '../lib/http-answer.ts';
import { printable } from '../lib/printable.ts';
import type { Retry, Stop } from '../lib/verdict.ts';

/** The API rejects the key, or the plan does not include the audit log. */
export interface Refused extends Stop {
  readonly status: number;
  /** Most likely first, each with its remedy. */
  readonly causes: readonly string[];
}

export type SourceVerdict = { readonly kind: 'page' } | Retry | Stop | Refused;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Decompressed. */
  readonly body: Buffer;
  /** Path and query of the request. */
  readonly requested: string;
}

/** What is known apart from the answer. */
export interface Known {
  /** A page of this source was read before: a 404 is then not a wrong URL. */
  readonly everRead: boolean;
  /** Local clock, milliseconds since the epoch; a Retry-After date is measured by the answer's own Date if it has one. */
  readonly nowMs: number;
}

/**
 * What an answer of the audit log means (contract section 1); the one place for every status. No detail contains audit
 * data: the server's own words are quoted only from answers that report an error.
 */
export function verdictOf(answer: Answer, known: Known): SourceVerdict {
  const { status, requested } = answer;
  if (status >= 500 || passingStatuses.has(status))
    return retry(status === 429 ? 'throttled' : 'server', `answered ${status}${quote(answer)}`, answer, known);
  if (status >= 400) return clientError(answer, known);
  if (status >= 300) {
    const target = URL.parse(String(answer.headers.location ?? ''), 'https://unknown.invalid')?.host ?? 'nowhere';
    return retry(
      'address',
      `redirected (${status}) to ${printable(target, 100)}, which is never followed: a login page, or source.url is another tenant’s`,
    );
  }
  if (status !== 200) return retry('malformed', `answered ${status} to ${requested}, which is not a page`);
  if (isHtml(answer))
    return retry(
      'malformed',
      'answered 200 with an HTML page: is a captive portal or a proxy between this host and QA Sphere?',
    );
  return { kind: 'page' };
}

const passingStatuses: ReadonlySet<number> = new Set([408, 421, 425, 429]);

function clientError(answer: Answer, { everRead }: Known): Retry | Stop | Refused {
  const { status, requested } = answer;
  const said = quote(answer);
  switch (status) {
    case 401:
      return refused(status, said, [
        'the key is malformed or was revoked: create a new one and update source.apiKey',
        'source.url is another tenant’s host: compare it with the address at which you open QA Sphere',
      ]);
    case 402:
      return refused(status, said, ['the plan lacks Advanced Auth: the Business and Enterprise plans include it']);
    case 403:
      return refused(status, said, [
        ...(isHtml(answer)
          ? ['a firewall or proxy between this host and QA Sphere answered (the body is HTML): ask its owner']
          : []),
        'the tenant or the key’s owner is suspended: reactivate it in QA Sphere',
        'this host’s outgoing address is not in the tenant’s IP allowlist: add it there',
        'the key’s owner is not an admin: let an admin create the key',
        'the key is restricted to another endpoint: the name of a key restricted to this one begins with SIEM-LOG-ONLY',
      ]);
    case 404:
      if (everRead) return retry('address', `answered 404, although the audit log was there before${said}`);
      return {
        kind: 'stop',
        reason: 'address',
        detail: `source.url is not a QA Sphere tenant: it answered 404 to ${requested}${said}`,
      };
    case 407:
      return retry('network', `the proxy requires a login (407); this is the proxy’s answer, not QA Sphere’s${said}`);
    default:
      return {
        kind: 'stop',
        reason: 'malformed',
        detail: `answered ${status} to GET ${requested}: the request was wrong, which is a bug; please report it${said}`,
      };
  }
}

function retry(reason: Retry['reason'], detail: string, answer?: Answer, known?: Known): Retry {
  const nowMs = httpDateMs(answer?.headers.date) ?? known?.nowMs ?? 0;
  const afterMs = retryAfterMs(answer?.headers['retry-after'], nowMs);
  return { kind: 'retry', reason, detail, ...(afterMs !== undefined && { afterMs }) };
}

function refused(status: number, said: string, causes: readonly string[]): Refused {
  return { kind: 'stop', reason: 'auth', status, causes, detail: `answered ${status}${said}` };
}

/** By the body, not by its declared type: some proxies call any answer text/html. */
function isHtml({ body }: Answer): boolean {
  return /^\s*</.test(body.toString('utf8', 0, 100));
}

/**
 * The server's own words in an error, as the end of a detail: one printable line. Of JSON only a message member, and
 * nothing of a body that may be a page or a part of one.
 */
function quote(answer: Answer): string {
  const text = answer.body.toString('utf8', 0, 2_000).trim();
  const isText = !isHtml(answer) && !/":/.test(text);
  const words = /^[[{"]/.test(text) ? messageIn(answer.body) : isText ? text : '';
  return words === '' ? '' : `. It says: ${printable(words)}`;
}

function messageIn(body: Buffer): string {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return '';
    throw error;
  }
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || 'events' in value) return '';
  const { message, error, detail } = value as Readonly<Record<string, unknown>>;
  return [message, error, detail].find((member) => typeof member === 'string') ?? '';
}
