import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { Mutex } from '../../lib/mutex.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { BatchLimits, Sink, SinkDeps } from '../sink.ts';
import { type Group, groupsOf, type Message, recordOverheadBytes, statusMessage } from './messages.ts';
import type { KafkaOptions } from './options.ts';
import { type KafkaProducer, loadLibrary, openProducer } from './producer.ts';
import { errorVerdict } from './verdicts.ts';

/** One request, which goes on until it is acknowledged or refused. */
interface Attempt {
  /** Identifies the records: ids in order. */
  readonly ids: string;
  readonly done: Promise<Verdict>;
}

/**
 * Produces to a topic with `acks=all` and an idempotent producer: a broker stores a request once, however often it is repeated
 * under its sequence number. That number is the library's. So a request that is not answered in time is not replaced by another: the
 * verdict is `retry`, the library repeats it, and the next `send` of the same records waits for the same request.
 * A new producer (after a refusal, or in a new process) has no such memory: then records may come twice, with the same
 * key and id.
 *
 * Each request goes to one partition, so that its outcome is known for each of its records.
 */
export class KafkaSink implements Sink {
  readonly window = 1;
  readonly limits: BatchLimits;
  readonly #options: KafkaOptions;
  readonly #deps: SinkDeps;
  /** Batches and status records are sent one after the other: the order within a partition depends on it. */
  readonly #turns = new Mutex();
  #producer: KafkaProducer | undefined;
  #attempt: Attempt | undefined;
  /** Counts batches, to spread those without a key. */
  #batches = 0;

  constructor(options: KafkaOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.limits = { ...options.batch, overheadBytes: recordOverheadBytes };
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    return this.#exclusive(forced, () => this.#sendBatch(batch, forced));
  }

  async sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict> {
    return this.#exclusive(forced, async () => {
      const { topic } = this.#options;
      const ready = await this.#ready(forced);
      if ('kind' in ready) return ready;
      const key = Buffer.from(this.#deps.tenant);
      const message = statusMessage(record, topic, this.#deps.tenant, ready.partitionOf(key));
      return this.#await(`status ${record.event} ${record.atMs}`, [message], forced);
    });
  }

  /** Connects, logs in and finds the topic. */
  async probe(forced: AbortSignal): Promise<Verdict> {
    return this.#exclusive(forced, async () => {
      const ready = await this.#ready(forced);
      return 'kind' in ready ? ready : accepted;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #sendBatch(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    const ready = await this.#ready(forced);
    if ('kind' in ready) return ready;
    const acceptedIndexes: number[] = [];
    const groups = groupsOf(batch, this.#options, this.#deps.tenant, ready.partitionOf);
    for (const group of groups) {
      const verdict = await this.#await(idsOf(group), group.messages, forced);
      if (verdict.kind !== 'accepted') return { ...verdict, ...withCulprit(verdict, group), acceptedIndexes };
      acceptedIndexes.push(...group.indexes);
    }
    this.#batches += 1;
    return accepted;
  }

  /** The producer, connected, and the partitions of the topic. Sends nothing. */
  async #ready(forced: AbortSignal): Promise<Verdict | { readonly partitionOf: (key: Buffer | undefined) => number }> {
    const { topic, brokers } = this.#options;
    const library = await loadLibrary();
    if (library === undefined) {
      const detail = 'the package @platformatic/kafka is not installed: npm install @platformatic/kafka';
      return { kind: 'stop', reason: 'address', detail };
    }
    try {
      this.#producer ??= openProducer(library, this.#options);
      const asked = this.#producer.metadata({ topics: [topic], autocreateTopics: false, retries: 1 });
      const metadata = await this.#within(asked, forced);
      if (metadata === undefined) return this.#late('the brokers do not answer');
      const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
      if (count === 0)
        return {
          kind: 'stop',
          reason: 'address',
          detail: `topic ${topic} does not exist: create it, or correct topic`,
        };
      const { murmur2 } = library;
      // As the Java client does it: the same key has the same partition from every producer.
      const partitionOf = (key: Buffer | undefined) =>
        key === undefined ? this.#batches % count : (murmur2(key) & 0x7fffffff) % count;
      return { partitionOf };
    } catch (error) {
      forced.throwIfAborted();
      const verdict = errorVerdict(error, { topic, brokers });
      if (verdict.kind === 'stop') await this.#renew();
      return verdict;
    }
  }

  /** Waits for the request with these records, which is sent unless it is under way. */
  async #await(ids: string, messages: readonly Message[], forced: AbortSignal): Promise<Verdict> {
    const other = this.#attempt;
    if (other !== undefined && other.ids !== ids) {
      // Of a batch that was composed in another way: it must end first, or records would overtake each other.
      const ended = await this.#ended(other, forced);
      if (ended === undefined) return this.#late('an earlier request is not acknowledged');
      // A refusal of all that we send; one of the earlier records is no matter of these.
      if (ended.kind === 'stop') return ended;
    }
    this.#attempt ??= { ids, done: this.#produce(messages) };
    const verdict = await this.#ended(this.#attempt, forced);
    return verdict ?? this.#late('no acknowledgement by all in-sync replicas; the request is repeated');
  }

  /** The verdict on a request, which is over then; undefined if it takes longer than `timeout`. */
  async #ended(attempt: Attempt, forced: AbortSignal): Promise<Verdict | undefined> {
    try {
      const verdict = await this.#within(attempt.done, forced);
      if (verdict !== undefined) this.#attempt = undefined;
      return verdict;
    } catch (error) {
      forced.throwIfAborted();
      this.#attempt = undefined;
      const verdict = errorVerdict(error, this.#options);
      if (verdict.kind === 'stop') await this.#renew();
      return verdict;
    }
  }

  #produce(messages: readonly Message[]): Promise<Verdict> {
    const producer = this.#producer;
    if (producer === undefined) throw new Error('the producer is closed');
    const done = producer.send({ messages: [...messages] }).then(() => accepted);
    done.catch(() => {}); // awaited by `#await`, perhaps later
    return done;
  }

  /** After a refusal: a new producer with the secret as it is now. */
  async #renew(): Promise<void> {
    this.#options.sasl?.secret?.refresh();
    await this.#close();
  }

  async #close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    this.#attempt = undefined;
    try {
      await producer?.close(true);
    } catch (error) {
      // A connection that is lost while it is closed is closed.
      errorVerdict(error, this.#options);
    }
  }

  #late(detail: string): Verdict {
    return { kind: 'retry', reason: 'timeout', detail: `${detail} (${this.#options.timeout} ms)` };
  }

  /** Undefined if it takes longer than `timeout`. @throws the reason of `forced` */
  async #within<T>(work: Promise<T>, forced: AbortSignal): Promise<T | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), this.#options.timeout);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(forced.reason);
    forced.addEventListener('abort', onAbort);
    try {
      forced.throwIfAborted();
      return await Promise.race([work, late.promise, aborted.promise]);
    } finally {
      clearTimeout(timer);
      forced.removeEventListener('abort', onAbort);
    }
  }

  async #exclusive<T>(forced: AbortSignal, work: () => Promise<T>): Promise<T> {
    forced.throwIfAborted();
    return this.#turns.take(work);
  }
}

const idsOf = ({ partition, messages }: Group) =>
  `${partition}: ${messages.map(({ headers }) => String([...(headers as Map<Buffer, Buffer>).values()][0])).join(',')}`;

/** A request of one record names it. */
function withCulprit({ kind }: Verdict, { indexes }: Group): { failedIndex?: number } {
  const [only] = indexes;
  return kind === 'reject' && only !== undefined && indexes.length === 1 ? { failedIndex: only } : {};
}
