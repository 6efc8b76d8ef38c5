import type { HttpAnswer, HttpClient } from '../../lib/http.ts';
import { type SecretSource, withoutSecret } from '../../lib/secret.ts';
import { failureVerdict } from '../http-batch.ts';
import type { Cookies } from './cookies.ts';
import { answerVerdict, type HecVerdict, isUncounted } from './verdicts.ts';

/** What identifies a request besides the token. */
export interface HecChannel {
  /** GUID for X-Splunk-Request-Channel; none without acknowledgement. */
  readonly id: string | undefined;
  readonly cookies: Cookies;
}

export interface Outcome extends HecVerdict {
  /** Undefined if no whole answer came. */
  readonly answer: HttpAnswer | undefined;
  /** A cookie is new or has changed: the request may have reached another indexer. */
  readonly cookiesChanged: boolean;
  /** It is certain that the collector gave no ackId to the batch. */
  readonly isUncounted: boolean;
}

export interface RequestMeta {
  /** Events in the body. */
  readonly events: number;
  readonly gzip: boolean;
}

export interface RequestOptions {
  /** Base URL of the collector. */
  readonly url: string;
  readonly token: SecretSource;
  readonly index: string | undefined;
  readonly http: HttpClient;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called with each answer, or undefined if no whole answer came. */
  readonly onAnswer?: ((answer: HttpAnswer | undefined) => void) | undefined;
}

export const paths = {
  data: '/services/collector/event',
  acks: '/services/collector/ack',
  health: '/services/collector/health',
} as const;

/** The requests to one collector. One whose token is refused is repeated once if the token's file has a new one. */
export class Requests {
  readonly #options: RequestOptions;

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  /** @throws the reason of `signal` */
  async post(
    path: string,
    channel: HecChannel,
    body: Buffer,
    meta: RequestMeta,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const first = await this.#once(path, channel, body, meta, signal);
    const { answer, reply, cookiesChanged } = first;
    const isTokenRefused =
      answer !== undefined && (answer.status === 401 || answer.status === 403 || isAuthStop(first));
    if (isTokenRefused && this.#options.token.refresh()) return this.#once(path, channel, body, meta, signal);
    // `headerEnforcementMode = block` refuses a first request because it has not the cookie that the refusal sets.
    if (answer?.status === 400 && reply.code === undefined && cookiesChanged && !channel.cookies.empty)
      return this.#once(path, channel, body, meta, signal);
    return first;
  }

  async #once(
    path: string,
    channel: HecChannel,
    body: Buffer,
    { events, gzip }: RequestMeta,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { http, url: base, token, index, now } = this.#options;
    const url = base + path;
    const cookie = channel.cookies.header;
    const secret = token.current;
    const headers = {
      authorization: `Splunk ${secret.reveal()}`,
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      ...(gzip && { 'content-encoding': 'gzip' }),
      ...(channel.id !== undefined && { 'x-splunk-request-channel': channel.id }),
      ...(cookie !== undefined && { cookie }),
    };
    const request = { events, bytes: body.length, url, index };
    const received = await http.request({ method: 'POST', url, headers, body }, signal);
    this.#options.onAnswer?.(received.kind === 'answer' ? received : undefined);
    if (received.kind === 'failure')
      return {
        verdict: failureVerdict(received, request),
        reply: {},
        answer: undefined,
        cookiesChanged: false,
        isUncounted: !received.connected,
      };
    const answer: HttpAnswer = { ...received, body: withoutSecret(secret, received.body) };
    const cookiesChanged = channel.cookies.take(answer.headers['set-cookie'], now());
    const verdict = answerVerdict(answer, { ...request, nowMs: now() });
    return { ...verdict, answer, cookiesChanged, isUncounted: isUncounted(answer, verdict) };
  }
}

const isAuthStop = ({ verdict }: HecVerdict) => verdict.kind === 'stop' && verdict.reason === 'auth';
