import type { Batch } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import type { Verdict } from '../lib/verdict.ts';
import { settleRefusal } from './http-batch.ts';
import type { HttpPost, HttpSender } from './http-sender.ts';
import type { BatchLimits, Sink } from './sink.ts';

/** A request, or the verdict if it can't be made: for example, there is no token. */
export type Prepared = HttpPost | Verdict;

/** What a destination wants to be sent. */
export interface HttpDestination {
  readonly limits: BatchLimits;
  /** @throws the reason of `forced` */
  post(batch: Batch, forced: AbortSignal): Prepared | Promise<Prepared>;
  /** A request that delivers one status record. @throws the reason of `forced` */
  postStatus(record: StatusRecord, forced: AbortSignal): Prepared | Promise<Prepared>;
  /** A request that is understood as ours and delivers nothing. @throws the reason of `forced` */
  postNothing(forced: AbortSignal): Prepared | Promise<Prepared>;
}

/** A sink that sends each batch in one request and has its verdict with the answer, one batch at a time. */
export class HttpBatchSink implements Sink {
  readonly window = 1;
  readonly #destination: HttpDestination;
  readonly #sender: HttpSender;
  readonly #more: Disposable | undefined;

  /** @param more is disposed with the sink */
  constructor(destination: HttpDestination, sender: HttpSender, more?: Disposable) {
    this.#destination = destination;
    this.#sender = sender;
    this.#more = more;
  }

  get limits(): BatchLimits {
    return this.#destination.limits;
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    forced.throwIfAborted();
    const post = await this.#destination.post(batch, forced);
    if ('kind' in post) return post;
    return settleRefusal<Verdict>(
      async () => {
        const { verdict, ifHarmlessPasses } = await this.#sender.post(post, forced);
        return { result: verdict, ifHarmlessPasses };
      },
      () => this.probe(forced),
    );
  }

  async sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict> {
    forced.throwIfAborted();
    const post = await this.#destination.postStatus(record, forced);
    return 'kind' in post ? post : (await this.#sender.post(post, forced)).verdict;
  }

  async probe(forced: AbortSignal): Promise<Verdict> {
    const post = await this.#destination.postNothing(forced);
    return 'kind' in post ? post : this.#sender.postEmpty(post, forced);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender[Symbol.dispose]();
    this.#more?.[Symbol.dispose]();
  }
}
