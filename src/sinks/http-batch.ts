import type { HttpAnswer, HttpFailure } from '../lib/http.ts';
import { retryAfterMs, tlsRemedy } from '../lib/http-answer.ts';
import { printable } from '../lib/printable.ts';
import { accepted, type Reason, type Reject, type Retry, type Stop, type Verdict } from '../lib/verdict.ts';

/** The request that a verdict is about. Holds no secret. */
export interface BatchRequest {
  /** Records in the body; 0 for a request that delivers nothing. */
  readonly events: number;
  /** Length of the body as sent. */
  readonly bytes: number;
  /** Origin and path. */
  readonly url: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** A verdict that depends on more than one answer. */
export interface HttpVerdict {
  readonly verdict: Verdict;
  /** The request held one record, and this is the verdict if a request without records is not refused. */
  readonly ifHarmlessPasses?: Reject;
}

/**
 * A reset without an answer asks for a smaller batch only if the body was longer. A shorter one is reset for other reasons:
 * the other side restarted, or closed an idle connection. 8 KiB is the least that common firewalls inspect (AWS WAF).
 */
const largeBodyBytes = 8 * 1024;

/** The verdict on a request without a whole answer: temporary, except for certificates, which need a person. */
export function failureVerdict(
  failure: HttpFailure,
  { events, bytes }: Pick<BatchRequest, 'events' | 'bytes'>,
): Retry | Stop {
  const { reason, code, connected } = failure;
  const remedy = reason === 'network' ? tlsRemedy(code) : undefined;
  if (remedy !== undefined) return { kind: 'stop', reason: 'auth', detail: `${remedy} (${failure.detail})` };
  if (reason === 'proxy') return { kind: 'retry', reason: 'network', detail: `through the proxy: ${failure.detail}` };
  const isTooLarge = reason === 'timeout' || (reason === 'network' && bytes > largeBodyBytes);
  return {
    kind: 'retry',
    reason: reason === 'too_large' ? 'server' : reason,
    detail: failure.detail,
    ...(events > 1 && connected && isTooLarge && { narrow: true }),
  };
}

/**
 * The verdict on an answer that says nothing in the destination's own words, by its status (RFC 9110 section 15). It may
 * come from a proxy or a firewall, and its cause may be the content of one record. So a refusal narrows the batch down;
 * with one record left, `settleRefusal` finds out whether that record or the way to the destination is the cause.
 */
export function statusVerdict(answer: HttpAnswer, request: BatchRequest): HttpVerdict {
  const { status } = answer;
  const quoted = quotePage(answer);
  const afterMs = retryAfterMs(answer.headers['retry-after'], request.nowMs);
  const retry = (reason: Reason, detail: string): HttpVerdict => ({
    verdict: {
      kind: 'retry',
      reason,
      detail: `${detail} (${quoted})`,
      ...(afterMs !== undefined && { afterMs }),
      ...(reason === 'timeout' && request.events > 1 && { narrow: true }),
    },
  });
  if (status >= 200 && status < 300 && !isHtml(answer)) return { verdict: accepted };
  if (status === 408) return retry('timeout', 'the request took too long to arrive');
  if (status === 413)
    return {
      verdict: { kind: 'reject', reason: 'too_large', detail: `too large for the destination or a proxy (${quoted})` },
    };
  if (status === 425 || status === 429) return retry('throttled', 'asked to slow down');
  if (status === 504) return retry('timeout', 'the destination did not answer a proxy or load balancer in time');
  if (status >= 500) return retry(status === 503 ? 'throttled' : 'server', 'the other side failed');
  const [reason, detail] = refusalCause(answer, request);
  const stop = { kind: 'stop', reason, detail: `${detail} (${quoted})` } as const;
  return contentFree.includes(status) ? { verdict: stop } : possibleContentRefusal(stop, request, quoted);
}

/** The verdict on a refusal that the content of a record may have caused: `otherwise` holds if it has not. */
export function possibleContentRefusal(
  otherwise: Retry | Stop,
  { events }: Pick<BatchRequest, 'events'>,
  quoted: string,
): HttpVerdict {
  if (events === 0) return { verdict: otherwise };
  if (events > 1) return { verdict: { kind: 'reject', reason: 'malformed', detail: otherwise.detail } };
  const detail = `this event is refused, and a request without events is not, probably by a rule of a proxy or firewall about its content (${quoted})`;
  return { verdict: otherwise, ifHarmlessPasses: { kind: 'reject', reason: 'malformed', detail } };
}

/**
 * Posts a batch and finds out what a refusal of a single record means: `harmless` goes the same way without a record. If
 * that is refused too, or fails, its verdict holds. Otherwise the record is posted once more, since a refusal may be
 * temporary; refused again, it is refused for its content.
 */
export async function settleRefusal<Result>(
  post: () => Promise<{ readonly result: Result | Verdict; readonly ifHarmlessPasses?: Reject | undefined }>,
  harmless: () => Promise<Verdict>,
): Promise<Result | Verdict> {
  const first = await post();
  if (first.ifHarmlessPasses === undefined) return first.result;
  const verdict = await harmless();
  if (verdict.kind === 'stop' || verdict.kind === 'retry') return verdict;
  const second = await post();
  return second.ifHarmlessPasses ?? second.result;
}

/** Statuses about the method, the proxy's password and the encoding: the content of a record is not their cause. */
const contentFree: readonly number[] = [405, 407, 415];

function refusalCause(answer: HttpAnswer, request: BatchRequest): readonly [Reason, string] {
  const { status } = answer;
  const { url } = request;
  // Web portals answer 200 as well: taking that for a delivery would lose everything.
  if (status < 300) return ['address', `${url} answers with a web page: correct url`];
  if (status < 400)
    return [
      'address',
      `redirected to ${redirectTarget(answer, url)}; redirects are not followed with credentials: correct url`,
    ];
  switch (status) {
    case 400:
    case 405:
      return ['malformed', `the request was not understood: check that ${url} is the right address`];
    case 401:
    case 403:
      return [
        'auth',
        'refused without a reason: check the credentials, or ask who runs the proxy or firewall in between',
      ];
    case 407:
      return ['auth', 'the proxy requires user and password: write them into proxy'];
    case 415:
      return ['malformed', 'the content encoding is not supported: try compression: none'];
    default:
      return ['address', `unexpected answer: check that ${url} is the right address`];
  }
}

/** The status, and the beginning of the page in words, without mark-up. */
function quotePage({ status, body }: HttpAnswer): string {
  const words = body
    .subarray(0, 512)
    .toString('utf8')
    .replace(/<[^>]*>?/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return words === '' ? `HTTP ${status}` : `HTTP ${status}, “${printable(words, 120)}”`;
}

function isHtml({ headers, body }: HttpAnswer): boolean {
  const type = headers['content-type'] ?? '';
  return /^\s*(text\/html|application\/xhtml)/i.test(type) || /^\s*</.test(body.subarray(0, 64).toString('latin1'));
}

function redirectTarget({ headers: { location } }: HttpAnswer, url: string): string {
  const target = location === undefined ? null : URL.parse(location, url);
  return target === null || target.host === ''
    ? 'an unnamed address'
    : printable(`${target.protocol}//${target.host}`, 120);
}
