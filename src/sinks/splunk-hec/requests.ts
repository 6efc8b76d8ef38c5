import type { HttpAnswer, HttpClient, HttpFailure } from '../../lib/http.ts';
import { type SecretSource, withoutSecret } from '../../lib/secret.ts';
import type { Cookies } from './cookies.ts';
import { type Judged, judge, judgeFailure, type RequestContext } from './verdicts.ts';

/** Whom a request speaks as, besides the token. */
export interface HecChannel {
  /** GUID for X-Splunk-Request-Channel; none where acknowledgement is off. */
  readonly id: string | undefined;
  readonly cookies: Cookies;
}

export interface Outcome extends Judged {
  /** The answer's headers and status, or undefined where no whole answer came. */
  readonly answer: HttpAnswer | undefined;
  /** A cookie is new or another one: the request may have reached another indexer. */
  readonly cookiesChanged: boolean;
}

export interface RequestMeta {
  readonly events: number;
  readonly gzip: boolean;
}

export interface RequestOptions {
  /** Origin of the collector. */
  readonly url: string;
  readonly token: SecretSource;
  readonly index: string | undefined;
  readonly http: HttpClient;
  readonly now: () => number;
}

export const paths = { data: '/services/collector/event', acks: '/services/collector/ack' } as const;

/** The requests to one collector, each judged. One that the token fails is made again, once, where its file has a new one. */
export class Requests {
  readonly #options: RequestOptions;

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  /** @throws the reason of `signal` */
  async post(path: string, party: HecChannel, body: Buffer, about: RequestMeta, signal: AbortSignal): Promise<Outcome> {
    const first = await this.#once(path, party, body, about, signal);
    if (
      first.verdict.kind === 'stop' &&
      first.verdict.reason === 'auth' &&
      first.answer !== undefined &&
      this.#options.token.refresh()
    )
      return this.#once(path, party, body, about, signal);
    // `headerEnforcementMode = block` refuses a first request for want of the cookie that it sets itself.
    if (first.answer?.status === 400 && first.reply.code === undefined && first.cookiesChanged && !party.cookies.empty)
      return this.#once(path, party, body, about, signal);
    return first;
  }

  async #once(
    path: string,
    party: HecChannel,
    body: Buffer,
    about: RequestMeta,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { http, url, token, index, now } = this.#options;
    const cookie = party.cookies.header;
    const secret = token.current;
    const said: HttpAnswer | HttpFailure = await http.request(
      {
        method: 'POST',
        url: url + path,
        headers: {
          authorization: `Splunk ${secret.reveal()}`,
          'content-type': 'application/json',
          'accept-encoding': 'identity',
          ...(about.gzip && { 'content-encoding': 'gzip' }),
          ...(party.id !== undefined && { 'x-splunk-request-channel': party.id }),
          ...(cookie !== undefined && { cookie }),
        },
        body,
      },
      signal,
    );
    if (said.kind === 'failure')
      return { verdict: judgeFailure(said), reply: {}, answer: undefined, cookiesChanged: false };
    const answer: HttpAnswer = { ...said, body: withoutSecret(secret, said.body) };
    const cookiesChanged = party.cookies.take(answer.headers['set-cookie'], now());
    const asked: RequestContext = { events: about.events, url: url + path, index, nowMs: now() };
    return { ...judge(answer, asked), answer, cookiesChanged };
  }
}
