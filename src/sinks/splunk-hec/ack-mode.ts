import { randomUUID } from 'node:crypto';
import type { SecretSource } from '../../lib/secret.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { Cookies } from './cookies.ts';
import type { SplunkHecOptions } from './options.ts';
import { type Outcome, paths, type Requests } from './requests.ts';

/** What proves that a batch is safe: the indexers' acknowledgement, or only the answer 2xx. */
export type DeliveryGuarantee = 'acknowledgement' | 'answer';

/** For the log and `check`. */
const descriptions: Readonly<Record<DeliveryGuarantee, string>> = {
  acknowledgement: 'indexer acknowledgement: a batch counts as delivered once the indexers report that they have it',
  answer:
    'the answer 2xx, no indexer acknowledgement: a batch counts as delivered once the collector has taken it into its queue',
};

const poll = Buffer.from('{"acks":[0]}');

/**
 * Detects whether the token has indexer acknowledgement. Unless the configuration says `false`, the acknowledgement
 * endpoint is asked, on a separate channel, before anything is sent.
 *
 * - unknown: at start, with a new token, and after `forget`, for anything that makes the answer doubtful.
 * - `acknowledgement`: after a good answer.
 * - `answer`: after code 14, with `auto` only.
 *
 * Any other answer is a verdict and leaves it unknown.
 */
export class AckModeDetector {
  readonly #configured: SplunkHecOptions['acknowledgement'];
  readonly #token: SecretSource;
  readonly #requests: Requests;
  readonly #report: (description: string) => void;
  #detected: { readonly guarantee: DeliveryGuarantee; readonly token: string } | undefined;
  #reported: DeliveryGuarantee | undefined;

  constructor(
    options: Pick<SplunkHecOptions, 'acknowledgement' | 'token'>,
    requests: Requests,
    report: (description: string) => void,
  ) {
    this.#configured = options.acknowledgement;
    this.#token = options.token;
    this.#requests = requests;
    this.#report = report;
  }

  /** What is known without asking. */
  get known(): DeliveryGuarantee | undefined {
    if (this.#configured === false) return 'answer';
    return this.#detected?.token === this.#token.current.reveal() ? this.#detected.guarantee : undefined;
  }

  forget(): void {
    this.#detected = undefined;
  }

  /** Asks unless it is known. @throws the reason of `signal` */
  async detect(signal: AbortSignal): Promise<DeliveryGuarantee | Verdict> {
    const guarantee = this.known ?? (await this.#ask(signal));
    if (typeof guarantee !== 'string') return guarantee;
    this.#detected = { guarantee, token: this.#token.current.reveal() };
    if (this.#reported !== guarantee) this.#report(descriptions[guarantee]);
    this.#reported = guarantee;
    return guarantee;
  }

  async #ask(signal: AbortSignal): Promise<DeliveryGuarantee | Verdict> {
    const channel = { id: randomUUID(), cookies: new Cookies() };
    const outcome = await this.#requests.post(paths.acks, channel, poll, { events: 0, gzip: false }, signal);
    if (outcome.reply.code === 14 && this.#configured === 'auto') return 'answer';
    return pollRefusal(outcome) ?? 'acknowledgement';
  }
}

/** Receivers that speak HEC without its acknowledgement endpoint: most logging agents, pipelines and SaaS ingesters. */
const noEndpoint =
  'if this is not Splunk but a compatible receiver without indexer acknowledgement, set acknowledgement: false';
/** OpenTelemetry's receiver answers so on every path that it does not know; Splunk has never been seen to. */
const takenForEvent =
  'the poll was taken for an event, so there is no acknowledgement endpoint: for an OpenTelemetry Collector set acknowledgement: false, or give its receiver an ack extension';

/** Why an answer of the acknowledgement endpoint is unusable, or undefined if it is good. */
export function pollRefusal({ verdict, reply, answer }: Outcome): Exclude<Verdict, { kind: 'accepted' }> | undefined {
  const because = (detail: string) => `acknowledgements can’t be asked for: ${detail}`;
  if (verdict.kind === 'accepted') {
    if (reply.acks !== undefined) return undefined;
    return { kind: 'stop', reason: 'address', detail: because(`the answer holds no acks; ${noEndpoint}`) };
  }
  if (reply.code === 12)
    return { kind: 'stop', reason: 'address', detail: because(`${verdict.detail}; ${takenForEvent}`) };
  const status = answer?.status ?? 0;
  const isWithoutEndpoint = (status >= 200 && status < 300) || [404, 405, 501].includes(status);
  const detail = because(isWithoutEndpoint ? `${verdict.detail}; ${noEndpoint}` : verdict.detail);
  return verdict.kind === 'reject' ? { kind: 'stop', reason: verdict.reason, detail } : { ...verdict, detail };
}
