import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { BatchLimits, ProofOfDelivery, ResumedBatch, Sent, Sink, SinkDeps } from '../sink.ts';
import { defaultPollInterval, type PollInterval } from './ack-poller.ts';
import type { SplunkHecOptions } from './options.ts';
import { openSplunkHec } from './sink.ts';

interface Endpoint {
  readonly url: string;
  readonly sink: Sink;
  /** The last request got no whole answer, or a 5xx. */
  isFailing: boolean;
  /** Batches of this process that wait for their acknowledgement there. */
  pending: number;
}

/**
 * Several collectors, of which one is in use. The next one takes over when a batch meets no whole answer (network, time-out,
 * certificate) or a 5xx, and stays in use while it works; a refusal of token or content changes nothing, since it would be the
 * same elsewhere. Batches that wait for an acknowledgement are still asked about where they were sent, on their own channel,
 * until `ackTimeout`; then they are sent again to the collector in use.
 */
export class FailoverHec implements Sink {
  readonly #endpoints: readonly Endpoint[];
  readonly #deps: SinkDeps;
  #active = 0;
  /** Switches since a batch was taken: after a whole round a refusal counts. */
  #switches = 0;

  constructor(options: SplunkHecOptions, deps: SinkDeps, interval: PollInterval = defaultPollInterval) {
    this.#deps = deps;
    this.#endpoints = [options.url, ...options.otherUrls].map((url) => {
      const endpoint = { url, isFailing: false, pending: 0 };
      const onAnswer = (answer: { readonly status: number } | undefined) => {
        endpoint.isFailing = answer === undefined || answer.status >= 500;
      };
      return Object.assign(endpoint, { sink: openSplunkHec({ ...options, url }, deps, interval, onAnswer) });
    });
  }

  /** What waits at the others has no place in the window of the one in use: with a collector that is down it waits for `ackTimeout`. */
  get window(): number {
    const elsewhere = this.#endpoints.filter((endpoint) => endpoint !== this.#endpoint);
    return elsewhere.reduce((sum, { pending }) => sum + pending, this.#endpoint.sink.window);
  }

  get limits(): BatchLimits {
    return this.#endpoint.sink.limits;
  }

  get proof(): ProofOfDelivery | undefined {
    return this.#endpoint.sink.proof;
  }

  get resumed(): readonly ResumedBatch[] {
    return this.#endpoints.flatMap(({ sink }) => sink.resumed ?? []);
  }

  /** One record an endpoint with something pending. */
  pendingAcks(): unknown {
    const records = this.#endpoints.map(({ sink }) => sink.pendingAcks?.()).filter((record) => record !== undefined);
    return records.length === 0 ? undefined : records;
  }

  async finish(forced: AbortSignal): Promise<void> {
    await Promise.all(this.#endpoints.map(({ sink }) => sink.finish?.(forced)));
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict | Sent> {
    const endpoint = this.#endpoint;
    // A poll for acknowledgements may have failed since the last batch.
    endpoint.isFailing = false;
    const answer = await endpoint.sink.send(batch, forced);
    const isTaken = answer.kind === 'accepted' || answer.kind === 'sent';
    if (isTaken) this.#switches = 0;
    if (answer.kind === 'sent') {
      endpoint.pending += 1;
      const ended = () => {
        endpoint.pending -= 1;
      };
      void answer.confirmed.then(ended, ended);
    }
    return isTaken || !endpoint.isFailing ? answer : this.#failOver(endpoint, answer);
  }

  /** Lost if the endpoint in use fails: the next one is reported by the next batch. */
  sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict | Sent> {
    return this.#endpoint.sink.sendStatus(record, forced);
  }

  /** Tries every endpoint, so that a person learns of each that would fail when it is needed. */
  async probe(forced: AbortSignal): Promise<Verdict> {
    const refusals: Exclude<Verdict, { kind: 'accepted' }>[] = [];
    for (const { url, sink } of this.#endpoints) {
      const verdict = await sink.probe(forced);
      if (verdict.kind !== 'accepted') refusals.push({ ...verdict, detail: `${url}: ${verdict.detail}` });
    }
    const worst = refusals.find(({ kind }) => kind === 'stop') ?? refusals[0];
    return worst === undefined ? accepted : { ...worst, detail: refusals.map(({ detail }) => detail).join('; ') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#endpoints.map(({ sink }) => sink[Symbol.asyncDispose]()));
  }

  get #endpoint(): Endpoint {
    return this.#endpoints[this.#active] as Endpoint;
  }

  #failOver({ url }: Endpoint, verdict: Exclude<Verdict, { kind: 'accepted' }>): Verdict {
    const isWholeRound = ++this.#switches >= this.#endpoints.length;
    this.#active = (this.#active + 1) % this.#endpoints.length;
    const detail = `${url} failed, so ${this.#endpoint.url} is used: ${verdict.detail}`;
    if (isWholeRound) {
      this.#switches = 0;
      return { ...verdict, detail };
    }
    this.#deps.emit({ event: 'sink.warning', sink: this.#deps.name, topic: 'failover', detail });
    const { acceptedPrefix, acceptedIndexes } = verdict;
    return {
      ...{ kind: 'retry', reason: verdict.reason, detail },
      ...(acceptedPrefix !== undefined && { acceptedPrefix }),
      ...(acceptedIndexes !== undefined && { acceptedIndexes }),
    };
  }
}
