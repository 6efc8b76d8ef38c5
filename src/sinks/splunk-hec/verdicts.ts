import type { HttpAnswer, HttpFailure } from '../../lib/http.ts';
import { retryAfterMs, tlsRemedy } from '../../lib/http-answer.ts';
import { printable } from '../../lib/printable.ts';
import type { Reason, Verdict } from '../../lib/verdict.ts';
import { accepted } from '../../lib/verdict.ts';

/** What the request was, for a detail that helps. Holds no secret. */
export interface RequestContext {
  /** Events in the body; 0 for a question about acknowledgements. */
  readonly events: number;
  /** Where it went, origin and path. */
  readonly url: string;
  /** The configured index, where there is one. */
  readonly index?: string | undefined;
  readonly nowMs: number;
}

/** What a HEC says in a JSON body; every member is checked, none is trusted. */
export interface Reply {
  readonly code?: number;
  readonly text?: string;
  readonly ackId?: number;
  /** `invalid-event-number` as sent: counted from 0, but from 1 with code 7. */
  readonly invalidEvent?: number;
  /** Of the acknowledgement endpoint: ackIds as strings, true where indexed. */
  readonly acks?: Readonly<Record<string, unknown>>;
}

export interface Judged {
  readonly verdict: Verdict;
  readonly reply: Reply;
  /** A success that asks for less: the queue (24) or the acknowledgement channels (25) fill up. */
  readonly slowDown?: 'queue' | 'acknowledgements';
}

const index = (asked: RequestContext) =>
  asked.index === undefined ? 'its default index' : `index ${printable(asked.index, 80)}`;

/** Codes no retry cures; nothing is wrong with the events. */
const stops: Readonly<Record<number, readonly [Reason, (asked: RequestContext) => string]>> = {
  1: ['auth', () => 'the token is disabled: enable it under Settings > Data inputs > HTTP Event Collector'],
  2: ['auth', () => 'no token arrived: something between us removes the Authorization header'],
  3: ['auth', () => 'the Authorization header was not understood: something between us changes it, or the token is malformed'],
  4: ['auth', () => 'the token is not known to this collector: correct token, or url where it names another deployment'],
  5: ['malformed', () => 'the request arrived without data: something between us removes the body'],
  7: ['address', (asked) => `${index(asked)} is not allowed for the token or does not exist: create it, add it to the token, or correct index`],
  10: ['address', () => 'the token asks for indexer acknowledgement: set acknowledgement: true or auto, or switch it off on the token'],
  11: ['address', () => 'the channel was not understood: something between us changes X-Splunk-Request-Channel'],
  14: ['address', () => 'the token has no indexer acknowledgement: switch it on (useACK), or set acknowledgement: auto or false; Splunk Cloud has none'],
  16: ['auth', () => 'a token came in the query: something between us adds it'],
  21: ['auth', () => 'the token is not known to this collector: correct token'],
  22: ['auth', () => 'the token is disabled: enable it under Settings > Data inputs > HTTP Event Collector'],
}; // biome-ignore format: a table

/** Codes about one event's content; the reply may name it. */
const refusals: Readonly<Record<number, string>> = {
  6: 'invalid data format (not JSON to it, nested too deep, or larger than maxEventSize)',
  12: 'event field is missing',
  13: 'event field is blank',
  15: 'time or indexed fields not understood',
};

/** Codes that pass by themselves. */
const passing: Readonly<Record<number, readonly [Reason, string]>> = {
  8: ['server', 'internal error of the collector'],
  9: ['throttled', 'the collector is busy'],
  18: ['throttled', 'the collector’s queues are full'],
  19: ['throttled', 'the collector’s acknowledgement service is not available'],
  20: ['throttled', 'the collector’s queues are full and its acknowledgement service is not available'],
  23: ['server', 'the collector is shutting down'],
  26: ['throttled', 'the collector’s queue is at capacity'],
  27: ['throttled', 'the collector’s acknowledgement channel is at capacity'],
};

/** Reads what a body says; anything that is no JSON object says nothing. */
export function readReply(body: Buffer): Reply {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const { code, text, ackId, acks, 'invalid-event-number': invalidEvent } = value as Record<string, unknown>;
  return {
    ...(Number.isSafeInteger(code) && { code: code as number }),
    ...(typeof text === 'string' && { text }),
    ...(isCount(ackId) && { ackId }),
    ...(isCount(invalidEvent) && { invalidEvent }),
    ...(typeof acks === 'object' && acks !== null && !Array.isArray(acks) && { acks: acks as Record<string, unknown> }),
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * What an answer of a HEC, or of something that stands in front of it, means. The body's `code` decides where it is one
 * of Splunk's, else the status (Splunk, "Possible error codes" of the HTTP Event Collector).
 */
export function judge(answer: HttpAnswer, asked: RequestContext): Judged {
  const reply = readReply(answer.body);
  const { code } = reply;
  const success = answer.status >= 200 && answer.status < 300;
  const wait = retryAfterMs(answer.headers['retry-after'], asked.nowMs);
  const said = quote(answer, reply);
  if (success && (code === 24 || code === 25))
    return { verdict: accepted, reply, slowDown: code === 24 ? 'queue' : 'acknowledgements' };
  const verdict =
    (code === undefined ? undefined : byCode(code, reply, asked, said, wait)) ?? byStatus(answer, asked, said, wait);
  return { verdict, reply };
}

function byCode(
  code: number,
  reply: Reply,
  asked: RequestContext,
  said: string,
  wait: number | undefined,
): Verdict | undefined {
  const stop = stops[code];
  if (stop !== undefined) return { kind: 'stop', reason: stop[0], detail: `${stop[1](asked)} (${said})` };
  const refusal = refusals[code];
  if (refusal !== undefined) {
    const failedIndex =
      reply.invalidEvent !== undefined && reply.invalidEvent < asked.events ? reply.invalidEvent : undefined;
    return {
      kind: 'reject',
      reason: 'malformed',
      detail: `refused: ${refusal} (${said})`,
      ...(failedIndex !== undefined && { failedIndex }),
    };
  }
  const pass = passing[code];
  if (pass !== undefined) return retry(pass[0], `${pass[1]} (${said})`, wait);
  return undefined;
}

function byStatus(answer: HttpAnswer, asked: RequestContext, said: string, wait: number | undefined): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) {
    // Splunk's web pages and captive portals answer 200 as well: taking that for a delivery would lose everything.
    if (!isHtml(answer)) return accepted;
    return stop(
      'address',
      `${asked.url} answers with a web page, so it is no event collector: correct url (Splunk Cloud: http-inputs-…) (${said})`,
    );
  }
  if (status >= 300 && status < 400)
    return stop(
      'address',
      `redirected to ${targetOf(answer, asked)}, which is not followed with a token: correct url (${said})`,
    );
  switch (status) {
    case 400:
    case 405:
    case 415: {
      const hint =
        status === 415
          ? 'the content encoding is not supported: try compression: none'
          : 'the request was not understood';
      if (asked.events > 1) return { kind: 'reject', reason: 'malformed', detail: `${hint} (${said})` };
      const alone = asked.events === 1 ? ', not even with one event' : '';
      return stop('malformed', `${hint}${alone}: is ${asked.url} an event collector? (${said})`);
    }
    case 401:
    case 403:
      return stop(
        'auth',
        `refused without a reason: correct token, or ask who runs the proxy or firewall between (${said})`,
      );
    case 407:
      return stop('auth', `the proxy asks for user and password: write them into proxy (${said})`);
    case 404:
      return retry('address', `${asked.url} is not there: maintenance in Splunk Cloud, or a wrong url (${said})`, wait);
    case 408:
      return retry('timeout', `the request took too long to arrive (${said})`, wait);
    case 425:
    case 429:
      return retry('throttled', `asked to slow down (${said})`, wait);
    case 413:
      return {
        kind: 'reject',
        reason: 'too_large',
        detail: `too large for the collector or a proxy before it (${said})`,
      };
  }
  if (status >= 500) return retry(status === 503 ? 'throttled' : 'server', `failed on the other side (${said})`, wait);
  return stop('address', `unexpected answer: is ${asked.url} an event collector? (${said})`);
}

/** What it means that no whole answer came: passing, but for certificates, which need a person. */
export function judgeFailure(failure: HttpFailure): Verdict {
  const remedy = failure.reason === 'network' ? tlsRemedy(failure.code) : undefined;
  if (remedy !== undefined) return stop('auth', `${remedy} (${failure.detail})`);
  if (failure.reason === 'timeout') return retry('timeout', failure.detail);
  if (failure.reason === 'proxy') return retry('network', `through the proxy: ${failure.detail}`);
  return retry(failure.reason === 'too_large' ? 'server' : 'network', failure.detail);
}

function stop(reason: Reason, detail: string): Verdict {
  return { kind: 'stop', reason, detail };
}

function retry(reason: Reason, detail: string, afterMs?: number): Verdict {
  return { kind: 'retry', reason, detail, ...(afterMs !== undefined && { afterMs }) };
}

function quote(answer: HttpAnswer, reply: Reply): string {
  if (reply.code !== undefined || reply.text !== undefined) {
    const number = reply.invalidEvent === undefined ? '' : `, event ${reply.invalidEvent}`;
    const text = reply.text === undefined ? '' : `, “${printable(reply.text, 120)}”`;
    return `HTTP ${answer.status}, code ${reply.code ?? 'none'}${text}${number}`;
  }
  // Of a page its words, without the mark-up.
  const page = answer.body
    .subarray(0, 512)
    .toString('utf8')
    .replace(/<[^>]*>?/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return page === '' ? `HTTP ${answer.status}` : `HTTP ${answer.status}, “${printable(page, 120)}”`;
}

function isHtml(answer: HttpAnswer): boolean {
  const type = answer.headers['content-type'] ?? '';
  return (
    /^\s*(text\/html|application\/xhtml)/i.test(type) || /^\s*</.test(answer.body.subarray(0, 64).toString('latin1'))
  );
}

function targetOf(answer: HttpAnswer, asked: RequestContext): string {
  const location = answer.headers.location;
  const target = location === undefined ? null : URL.parse(location, asked.url);
  return target === null || target.host === ''
    ? 'an unnamed place'
    : printable(`${target.protocol}//${target.host}`, 120);
}
