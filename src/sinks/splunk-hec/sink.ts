import { randomUUID } from 'node:crypto';
import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { backoffMs } from '../../lib/backoff.ts';
import type { HttpAnswer, HttpClient } from '../../lib/http.ts';
import { sleep } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { settleRefusal } from '../http-batch.ts';
import { sinkHttpClient } from '../http-client.ts';
import type { ProofOfDelivery, ResumedBatch, Sent, Sink, SinkDeps } from '../sink.ts';
import { AckModeDetector } from './ack-mode.ts';
import { defaultPollInterval, type PollInterval } from './ack-poller.ts';
import { Acknowledgements, type Posted } from './acks.ts';
import { Cookies } from './cookies.ts';
import { BodyEncoder, Envelopes, type Metadata, statusEnvelope } from './envelope.ts';
import type { SplunkHecOptions } from './options.ts';
import { type HecChannel, type Outcome, paths, type RequestMeta, Requests } from './requests.ts';

/** The most of an answer that is read. A collector's own are below 1 KiB, except those about acknowledgements. */
export const maxAnswerBytes = 64 * 1024;
/** Batches that may wait for their acknowledgement. */
const ackWindow = 32;
/** The wait before the next batch after answers that accept but ask for less (codes 24 and 25). */
const slowDownBackoff = { firstMs: 250, longestMs: 5_000 };
/** Unknown codes that are logged. */
const maxUnknownCodes = 20;
const noBody = Buffer.alloc(0);

/**
 * Opens one Splunk HTTP Event Collector, `options.url`, as a sink. No batch is sent yet; the acknowledgements in `deps.pendingAcks` are asked
 * about at once. `window` may change from one batch to the next: it is 1 until it is known whether the token has
 * acknowledgement. @throws the error of the file system or OpenSSL for a file of the tls block
 */
export function openSplunkHec(
  options: SplunkHecOptions,
  deps: SinkDeps,
  interval: PollInterval = defaultPollInterval,
  onAnswer?: (answer: HttpAnswer | undefined) => void,
): Sink {
  return new SplunkHec(options, deps, interval, onAnswer);
}

class SplunkHec implements Sink {
  readonly limits: Sink['limits'];
  readonly #options: SplunkHecOptions;
  readonly #deps: SinkDeps;
  readonly #http: HttpClient;
  readonly #requests: Requests;
  readonly #metadata: Metadata;
  readonly #encoder: BodyEncoder;
  readonly #mode: AckModeDetector;
  readonly #acks: Acknowledgements;
  /** For batches without acknowledgement: no channel, only cookies. */
  #plain: HecChannel = { id: undefined, cookies: new Cookies() };
  /** Answers in a row that asked for less. */
  #slowDowns = 0;
  #window = ackWindow;
  #isUntimedLogged = false;
  readonly #loggedCodes = new Set<number>();

  constructor(
    options: SplunkHecOptions,
    deps: SinkDeps,
    interval: PollInterval,
    onAnswer: ((answer: HttpAnswer | undefined) => void) | undefined,
  ) {
    this.#options = options;
    this.#deps = deps;
    const { url, token, index } = options;
    this.#http = sinkHttpClient(options, deps, maxAnswerBytes);
    this.#requests = new Requests({ url, token, index, http: this.#http, now: deps.now, onAnswer });
    this.#metadata = { ...options, host: options.host ?? deps.tenant };
    const envelopes = new Envelopes(this.#metadata, deps.format.json);
    this.#encoder = new BodyEncoder(envelopes, options.compression === 'gzip');
    this.limits = { ...options.batch, overheadBytes: envelopes.overheadBytes };
    this.#mode = new AckModeDetector(options, this.#requests, (detail) =>
      deps.emit({ event: 'sink.info', sink: deps.name, topic: 'proof_of_delivery', detail }),
    );
    this.#acks = new Acknowledgements({
      requests: this.#requests,
      url,
      token,
      ackTimeoutMs: options.ackTimeout,
      interval,
      now: deps.now,
      elapsed: () => performance.now(),
      warn: (detail) => this.#warn('acknowledgement', detail),
      onRefused: (refusal) => this.#modeChanged(refusal),
      record: deps.pendingAcks,
    });
  }

  get window(): number {
    const { known } = this.#mode;
    if (known === 'answer') return 1;
    return known === undefined && this.#options.acknowledgement === 'auto' ? 1 : this.#window;
  }

  get proof(): ProofOfDelivery | undefined {
    const { known } = this.#mode;
    return known && (known === 'acknowledgement' ? 'hec-acknowledged' : 'hec-accepted');
  }

  get resumed(): readonly ResumedBatch[] {
    return this.#acks.resumed;
  }

  pendingAcks(): unknown {
    return this.#acks.pendingAcks();
  }

  finish(kill: AbortSignal): Promise<void> {
    return this.#acks.finish(kill);
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    if (this.#slowDowns > 0)
      await sleep(
        backoffMs(slowDownBackoff, this.#slowDowns, () => 1),
        kill,
      );
    kill.throwIfAborted();
    const guarantee = await this.#mode.detect(kill);
    if (typeof guarantee !== 'string') return guarantee;
    const blocked = guarantee === 'answer' ? undefined : this.#acks.blockedBy();
    if (blocked !== undefined) return blocked;
    const { bytes, untimed } = await this.#encoder.encode(batch);
    if (untimed > 0) this.#onUntimed(untimed);
    const meta = { events: batch.records.length, gzip: this.#options.compression === 'gzip' };
    const post = async () => {
      const { outcome, result } =
        guarantee === 'answer'
          ? await this.#postPlain(bytes, meta, kill)
          : await this.#postForAck(batch, bytes, meta, kill);
      this.#onAccepted(outcome);
      return { result, ifHarmlessPasses: outcome.ifHarmlessPasses };
    };
    return settleRefusal<Verdict | Sent>(post, () => this.#postNothing(kill));
  }

  /** On a separate channel: its acknowledgement is not asked for, and Splunk drops the channel when it is idle. */
  async sendStatus(record: StatusRecord, kill: AbortSignal): Promise<Verdict> {
    const channel = { id: randomUUID(), cookies: new Cookies() };
    const meta = { events: 1, gzip: false };
    const { verdict } = await this.#requests.post(
      paths.data,
      channel,
      statusEnvelope(record, this.#metadata),
      meta,
      kill,
    );
    return verdict;
  }

  async probe(kill: AbortSignal): Promise<Verdict> {
    const guarantee = await this.#mode.detect(kill);
    return typeof guarantee === 'string' ? this.#postNothing(kill) : guarantee;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#acks[Symbol.asyncDispose]();
    this.#http[Symbol.dispose]();
  }

  /** An empty request delivers nothing: "No data" (code 5) is answered after the token was accepted. */
  async #postNothing(kill: AbortSignal): Promise<Verdict> {
    const channel = this.#mode.known === 'answer' ? this.#plain : this.#acks.channel;
    const { verdict, reply } = await this.#requests.post(paths.data, channel, noBody, { events: 0, gzip: false }, kill);
    return reply.code === 5 ? accepted : verdict;
  }

  async #postPlain(bytes: Buffer, meta: RequestMeta, kill: AbortSignal): Promise<Posted> {
    const outcome = await this.#requests.post(paths.data, this.#plain, bytes, meta, kill);
    const { answer, verdict, reply } = outcome;
    // If an indexer failed, another one may be reached without its cookie.
    if (answer === undefined || answer.status >= 500) this.#plain = { id: undefined, cookies: new Cookies() };
    if (verdict.kind === 'accepted') this.#acks.deliveredOtherwise();
    return { outcome, result: reply.code === 10 ? this.#modeChanged(verdict) : verdict };
  }

  async #postForAck(batch: Batch, bytes: Buffer, meta: RequestMeta, kill: AbortSignal): Promise<Posted> {
    const { outcome, result } = await this.#acks.post(batch, bytes, meta, kill);
    if (outcome.reply.code === 14) return { outcome, result: this.#modeChanged(outcome.verdict) };
    if (outcome.verdict.kind !== 'accepted' || outcome.reply.ackId !== undefined) return { outcome, result };
    // Accepted without an ackId: whether the token has acknowledgement is asked again before anything is sent.
    this.#mode.forget();
    const isRequired = this.#options.acknowledgement === true;
    return {
      outcome,
      result:
        isRequired && result.kind === 'retry' && result.afterMs === undefined
          ? { kind: 'stop', reason: 'address', detail: result.detail }
          : result,
    };
  }

  /** The token's acknowledgement was switched on or off. With `auto` it is detected again, and no refusal. */
  #modeChanged(verdict: Verdict): Verdict {
    this.#mode.forget();
    if (this.#options.acknowledgement !== 'auto' || verdict.kind === 'accepted') return verdict;
    return { kind: 'retry', reason: 'address', detail: `the token's acknowledgement was switched: ${verdict.detail}` };
  }

  /** Adapts to what an accepting answer says besides. */
  #onAccepted({ verdict, reply: { code }, slowDown }: Outcome): void {
    if (verdict.kind !== 'accepted') return;
    this.#slowDowns = slowDown === undefined ? 0 : this.#slowDowns + 1;
    if (slowDown === 'acknowledgements') {
      this.#window = Math.max(1, Math.floor(this.#window / 2));
      this.#acks.pollNow();
    } else if (slowDown === undefined) this.#window = Math.min(ackWindow, this.#window * 2);
    if (code === undefined || code === 0 || slowDown !== undefined) return;
    if (this.#loggedCodes.has(code) || this.#loggedCodes.size >= maxUnknownCodes) return;
    this.#loggedCodes.add(code);
    this.#warn('unknown_code', `accepted with an unknown code: ${code}`);
  }

  #onUntimed(events: number): void {
    this.#deps.emit({ event: 'sink.untimed', sink: this.#deps.name, events });
    if (this.#isUntimedLogged) return;
    this.#isUntimedLogged = true;
    this.#warn(
      'unreadable_time',
      'an event has no readable createdAt: Splunk dates it by its receipt (logged once per start)',
    );
  }

  #warn(topic: string, detail: string): void {
    this.#deps.emit({ event: 'sink.warning', sink: this.#deps.name, topic, detail });
  }
}
