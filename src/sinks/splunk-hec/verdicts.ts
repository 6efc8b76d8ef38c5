import type { HttpAnswer } from '../../lib/http.ts';
import { retryAfterMs } from '../../lib/http-answer.ts';
import { printable } from '../../lib/printable.ts';
import { accepted, type Reason, type Verdict } from '../../lib/verdict.ts';
import { type BatchRequest, type HttpVerdict, possibleContentRefusal, statusVerdict } from '../http-batch.ts';

export interface HecRequest extends BatchRequest {
  /** The configured index, if there is one. */
  readonly index?: string | undefined;
}

/** The JSON body of an answer. Every member is checked, none is trusted. */
export interface Reply {
  readonly code?: number;
  readonly text?: string;
  readonly ackId?: number;
  /** `invalid-event-number` as sent: counted from 0, but from 1 with code 7. */
  readonly invalidEvent?: number;
  /** Of the acknowledgement endpoint: ackIds as strings, true if indexed. */
  readonly acks?: Readonly<Record<string, unknown>>;
}

export interface HecVerdict extends HttpVerdict {
  readonly reply: Reply;
  /** A success that asks for less: the queue (24) or the acknowledgement channels (25) fill up. */
  readonly slowDown?: 'queue' | 'acknowledgements';
}

const index = (request: HecRequest) =>
  request.index === undefined ? 'its default index' : `index ${printable(request.index, 80)}`;

/** Codes that no retry cures, and no event causes. */
const stops: Readonly<Record<number, readonly [Reason, (request: HecRequest) => string]>> = {
  1: ['auth', () => 'the token is disabled: enable it under Settings > Data inputs > HTTP Event Collector'],
  2: ['auth', () => 'no token arrived: something in between removes the Authorization header'],
  3: ['auth', () => 'the Authorization header was not understood: something in between changes it, or the token is malformed'],
  4: ['auth', () => 'the token is not known to this collector: correct token, or url if it names another deployment'],
  5: ['malformed', () => 'the request arrived without data: something in between removes the body'],
  7: ['address', (request) => `${index(request)} is not allowed for the token or does not exist: create it, add it to the token, or correct index`],
  10: ['address', () => 'the token requires indexer acknowledgement: set acknowledgement: true or auto, or switch it off on the token'],
  11: ['address', () => 'the channel was not understood: something in between changes X-Splunk-Request-Channel'],
  14: ['address', () => 'the token has no indexer acknowledgement: switch it on (useACK), or set acknowledgement: auto or false; Splunk Cloud has none'],
  16: ['auth', () => 'a token came in the query: something in between adds it'],
  21: ['auth', () => 'the token is not known to this collector: correct token'],
  22: ['auth', () => 'the token is disabled: enable it under Settings > Data inputs > HTTP Event Collector'],
}; // biome-ignore format: a table

/** Codes about the content of one event; the reply may name it. */
const refusals: Readonly<Record<number, string>> = {
  6: 'invalid data format (not JSON, nested too deep, or larger than maxEventSize)',
  12: 'event field is missing',
  13: 'event field is blank',
  15: 'time or indexed fields not understood',
};

/** Temporary codes. */
const temporary: Readonly<Record<number, readonly [Reason, string]>> = {
  8: ['server', 'internal error of the collector'],
  9: ['throttled', 'the collector is busy'],
  18: ['throttled', 'the collector’s queues are full'],
  19: ['throttled', 'the collector’s acknowledgement service is not available'],
  20: ['throttled', 'the collector’s queues are full and its acknowledgement service is not available'],
  23: ['server', 'the collector is shutting down'],
  26: ['throttled', 'the collector’s queue is at capacity'],
  27: ['throttled', 'the collector’s acknowledgement channel is at capacity'],
};

/**
 * Whether an answer shows that its batch got no ackId: every refusal comes before, but not an internal error (8) nor a 5xx
 * without a code of Splunk's.
 */
export function isUncounted({ status }: HttpAnswer, { verdict, reply: { code } }: HecVerdict): boolean {
  if (verdict.kind === 'accepted') return false;
  return (
    status < 500 || (code !== undefined && code !== 8 && [stops, refusals, temporary].some((codes) => code in codes))
  );
}

/** Reads a body; anything but a JSON object has no members. */
export function readReply(body: Buffer): Reply {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
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
 * The verdict on an answer of a HEC, or of something in front of it. The body's `code` decides if it is one of Splunk's
 * (Splunk, "Possible error codes" of the HTTP Event Collector), otherwise the status.
 */
export function answerVerdict(answer: HttpAnswer, request: HecRequest): HecVerdict {
  const reply = readReply(answer.body);
  const { code } = reply;
  const isSuccess = answer.status >= 200 && answer.status < 300;
  if (isSuccess && (code === 24 || code === 25))
    return { verdict: accepted, reply, slowDown: code === 24 ? 'queue' : 'acknowledgements' };
  const verdict = code === undefined ? undefined : codeVerdict(code, answer, reply, request);
  if (verdict !== undefined) return { verdict, reply };
  if (answer.status === 404) return { ...notFound(answer, reply, request), reply };
  return { ...statusVerdict(answer, request), reply };
}

function codeVerdict(code: number, answer: HttpAnswer, reply: Reply, request: HecRequest): Verdict | undefined {
  const quoted = quote(answer, reply);
  const stop = stops[code];
  if (stop !== undefined) return { kind: 'stop', reason: stop[0], detail: `${stop[1](request)} (${quoted})` };
  const refusal = refusals[code];
  if (refusal !== undefined) {
    const { invalidEvent } = reply;
    const failedIndex = invalidEvent !== undefined && invalidEvent < request.events ? invalidEvent : undefined;
    const detail = `refused: ${refusal} (${quoted})`;
    return { kind: 'reject', reason: 'malformed', detail, ...(failedIndex !== undefined && { failedIndex }) };
  }
  const pass = temporary[code];
  if (pass === undefined) return undefined;
  const afterMs = retryAfterMs(answer.headers['retry-after'], request.nowMs);
  const detail = `${pass[1]} (${quoted})`;
  return { kind: 'retry', reason: pass[0], detail, ...(afterMs !== undefined && { afterMs }) };
}

/**
 * Splunk Cloud answers 404 for moments of maintenance, so it is temporary for the whole batch. Without Splunk's own code it
 * may come from a firewall that hides what it refuses: then it is narrowed down too.
 */
function notFound(answer: HttpAnswer, reply: Reply, request: HecRequest): HttpVerdict {
  const afterMs = retryAfterMs(answer.headers['retry-after'], request.nowMs);
  const quoted = quote(answer, reply);
  const detail = `${request.url} is not found: maintenance in Splunk Cloud, or a wrong url (${quoted})`;
  const verdict = { kind: 'retry', reason: 'address', detail, ...(afterMs !== undefined && { afterMs }) } as const;
  if (reply.code !== undefined) return { verdict };
  return request.events > 1
    ? { verdict: { ...verdict, narrow: true } }
    : possibleContentRefusal(verdict, request, quoted);
}

function quote({ status }: HttpAnswer, { code, text, invalidEvent }: Reply): string {
  const number = invalidEvent === undefined ? '' : `, event ${invalidEvent}`;
  const words = text === undefined ? '' : `, “${printable(text, 120)}”`;
  return `HTTP ${status}, code ${code ?? 'none'}${words}${number}`;
}
