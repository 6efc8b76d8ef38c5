import { randomUUID } from 'node:crypto';
import type { SecretSource } from '../../lib/secret.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { Cookies } from './cookies.ts';
import type { SplunkHecOptions } from './options.ts';
import { type Outcome, paths, type Requests } from './requests.ts';

/** What shows that a batch is safe: the indexers' acknowledgement, or only the answer 2xx. */
export type DeliveryGuarantee = 'acknowledgement' | 'answer';

/** A proof for the log and for `check`. */
export const describeGuarantee: Readonly<Record<DeliveryGuarantee, string>> = {
  acknowledgement: 'indexer acknowledgement: a batch counts as delivered once the indexers say that they have it',
  answer:
    'the answer 2xx, no indexer acknowledgement: a batch counts as delivered once the collector has taken it into its queue',
};

const question = Buffer.from('{"acks":[0]}');

/**
 * Which proof is in force. Unless it is configured away it is asked for, on a channel nobody uses, before anything is
 * sent, and again after a new token or whatever makes it doubtful. Only code 14 means that the token has no
 * acknowledgement; what is neither that nor a good answer is a verdict, and nothing is known.
 */
export class AckModeDetector {
  readonly #configured: SplunkHecOptions['acknowledgement'];
  readonly #token: SecretSource;
  readonly #requests: Requests;
  readonly #report: (proof: DeliveryGuarantee) => void;
  #known: DeliveryGuarantee | undefined;
  #knownFor: string | undefined;
  #reported: DeliveryGuarantee | undefined;

  constructor(
    options: Pick<SplunkHecOptions, 'acknowledgement' | 'token'>,
    requests: Requests,
    report: (proof: DeliveryGuarantee) => void,
  ) {
    this.#configured = options.acknowledgement;
    this.#token = options.token;
    this.#requests = requests;
    this.#report = report;
  }

  /** What is known without asking. */
  get known(): DeliveryGuarantee | undefined {
    if (this.#configured === false) return 'answer';
    return this.#knownFor === this.#token.current.reveal() ? this.#known : undefined;
  }

  forget(): void {
    this.#known = undefined;
  }

  /** @throws the reason of `signal` */
  async settle(signal: AbortSignal): Promise<DeliveryGuarantee | Verdict> {
    const proof = this.known ?? (await this.#ask(signal));
    if (typeof proof !== 'string') return proof;
    this.#known = proof;
    this.#knownFor = this.#token.current.reveal();
    if (this.#reported !== proof) this.#report(proof);
    this.#reported = proof;
    return proof;
  }

  async #ask(signal: AbortSignal): Promise<DeliveryGuarantee | Verdict> {
    const party = { id: randomUUID(), cookies: new Cookies() };
    const outcome = await this.#requests.post(paths.acks, party, question, { events: 0, gzip: false }, signal);
    if (outcome.reply.code === 14 && this.#configured === 'auto') return 'answer';
    return refusalOf(outcome) ?? 'acknowledgement';
  }
}

/** OpenTelemetry's receiver answers so on every path it does not know; Splunk has never been seen to. */
const noEndpoint =
  'the question was taken for an event, so there seems to be nothing that acknowledges: for an OpenTelemetry Collector set acknowledgement: false, or give its receiver an ack extension';

/** Why an answer of the acknowledgement endpoint is none, or undefined where it is a good one. */
export function refusalOf({ verdict, reply }: Outcome): Exclude<Verdict, { kind: 'accepted' }> | undefined {
  const about = (detail: string) => `acknowledgements can’t be asked for: ${detail}`;
  switch (verdict.kind) {
    case 'accepted':
      if (reply.acks !== undefined) return undefined;
      return {
        kind: 'stop',
        reason: 'address',
        detail: about('the answer holds no acks, so it is not the collector that answers'),
      };
    case 'reject':
      if (reply.code === 12)
        return { kind: 'stop', reason: 'address', detail: about(`${verdict.detail}; ${noEndpoint}`) };
      return { kind: 'stop', reason: verdict.reason, detail: about(verdict.detail) };
    default:
      return { ...verdict, detail: about(verdict.detail) };
  }
}
