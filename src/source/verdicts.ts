import type { IncomingHttpHeaders } from 'node:http';
import { retryAfterMs } from '../lib/http-answer.ts';
import { printable } from '../lib/printable.ts';
import type { Retry, Stop } from '../lib/verdict.ts';

/** The API refuses the key, or the plan. */
export interface Refused extends Stop {
  readonly status: number;
  /** Most likely first, each with its remedy. */
  readonly causes: readonly string[];
}

export type Judgement = { readonly kind: 'page' } | Retry | Stop | Refused;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Decompressed. */
  readonly body: Buffer;
  /** Path and query that were asked. */
  readonly asked: string;
}

/** Whether the source ever gave a page: a 404 before that is a wrong URL. */
export interface Known {
  readonly everRead: boolean;
  /** Local clock, milliseconds since the epoch: a Retry-After date is measured by the answer's own Date where it has one. */
  readonly nowMs: number;
}

/** What an answer of the audit log means (contract section 1); one place for every status. */
export function judge(answer: Answer, known: Known): Judgement {
  const { status } = answer;
  const html = isHtml(answer);
  if (status === 200 && !html) return { kind: 'page' };
  const said = message(answer);
  if (status === 200)
    return retry('malformed', `answered 200 with an HTML page: a captive portal or a proxy in between? ${said}`);
  if (status >= 300 && status < 400) {
    const target = URL.parse(String(answer.headers.location ?? ''), 'https://unknown.invalid')?.host ?? 'nowhere';
    return retry(
      'address',
      `redirected (${status}) to ${printable(target, 100)}, which is never followed: a login page, or source.url is another tenant’s`,
    );
  }
  switch (status) {
    case 401:
      return refused(status, said, [
        'the key is malformed or was revoked: create a new one and update source.apiKey',
        'source.url is another tenant’s host: compare it with the address QA Sphere is opened at',
      ]);
    case 402:
      return refused(status, said, ['the plan lacks Advanced Auth: it comes with the Business and Enterprise plans']);
    case 403:
      return refused(status, said, [
        ...(html
          ? ['a firewall or proxy between this host and QA Sphere answered (the body is HTML): ask its owner']
          : []),
        'the tenant or the key’s owner is suspended: reactivate it in QA Sphere',
        'this host’s outgoing address is not in the tenant’s IP allowlist: add it there',
        'the key’s owner is no admin: let an admin create the key',
        'the key is restricted to something else: a key restricted to this endpoint must be named SIEM-LOG-ONLY…',
      ]);
    case 404:
      if (known.everRead) return retry('address', `answered 404: the audit log was there before. ${said}`);
      return {
        kind: 'stop',
        reason: 'address',
        detail: `source.url is no QA Sphere tenant: it answered 404 to ${answer.asked}. ${said}`,
      };
    case 407:
      return retry('network', `the proxy wants a login (407): this is the proxy’s answer, not QA Sphere’s. ${said}`);
    case 429:
      return retry('throttled', `answered 429, too many requests. ${said}`, answer, known);
    case 408:
    case 421:
    case 425:
      return retry('server', `answered ${status}. ${said}`, answer, known);
  }
  if (status >= 500) return retry('server', `answered ${status}. ${said}`, answer, known);
  if (status >= 400)
    return {
      kind: 'stop',
      reason: 'malformed',
      detail: `answered ${status} to GET ${answer.asked}: this program asked wrongly; please report it. ${said}`,
    };
  return retry('malformed', `answered ${status}, which is no page. ${said}`);
}

function retry(reason: Retry['reason'], detail: string, answer?: Answer, known?: Known): Retry {
  const date = Date.parse(String(answer?.headers.date ?? ''));
  const now = Number.isNaN(date) ? (known?.nowMs ?? 0) : date;
  const afterMs = retryAfterMs(answer?.headers['retry-after'], now);
  return { kind: 'retry', reason, detail: detail.trimEnd(), ...(afterMs !== undefined && { afterMs }) };
}

function refused(status: number, said: string, causes: readonly string[]): Refused {
  return { kind: 'stop', reason: 'auth', status, causes, detail: `answered ${status}. ${said}`.trimEnd() };
}

function isHtml(answer: Answer): boolean {
  if (/\bhtml\b/i.test(answer.headers['content-type'] ?? '')) return true;
  return /^\s*<(!doctype|html)/i.test(answer.body.toString('latin1', 0, 100));
}

/** The server's own words, cut to one printable line. */
function message(answer: Answer): string {
  const text = answer.body.toString('utf8', 0, 2_000).trim();
  if (text === '' || isHtml(answer)) return '';
  let words = text;
  try {
    const parsed = JSON.parse(text) as Record<string, unknown>;
    const found = [parsed['message'], parsed['error'], parsed['detail']].find((value) => typeof value === 'string');
    if (typeof found === 'string') words = found;
  } catch {
    // Not JSON: the text is the message.
  }
  return `It says: ${printable(words)}`;
}
