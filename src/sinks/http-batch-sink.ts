import type { Batch } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import type { Verdict } from '../lib/verdict.ts';
import { settleRefusal } from './http-batch.ts';
import type { HttpPost, HttpSender } from './http-sender.ts';
import type { BatchLimits, Sink } from './sink.ts';

/** What a destination wants to be sent. */
export interface HttpDestination {
  readonly limits: BatchLimits;
  post(batch: Batch): HttpPost;
  /** A request that delivers one status record. */
  postStatus(record: StatusRecord): HttpPost;
  /** A request that is understood as ours and delivers nothing. */
  postNothing(): HttpPost;
}

/** A sink that sends each batch in one request and has its verdict with the answer, one batch at a time. */
export class HttpBatchSink implements Sink {
  readonly window = 1;
  readonly #destination: HttpDestination;
  readonly #sender: HttpSender;

  constructor(destination: HttpDestination, sender: HttpSender) {
    this.#destination = destination;
    this.#sender = sender;
  }

  get limits(): BatchLimits {
    return this.#destination.limits;
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    forced.throwIfAborted();
    const post = this.#destination.post(batch);
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
    return (await this.#sender.post(this.#destination.postStatus(record), forced)).verdict;
  }

  probe(forced: AbortSignal): Promise<Verdict> {
    return this.#sender.postEmpty(this.#destination.postNothing(), forced);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender[Symbol.dispose]();
  }
}
