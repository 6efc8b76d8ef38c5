import { randomUUID } from 'node:crypto';
import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { type HttpClient, httpClient } from '../../lib/http.ts';
import { isLoopback } from '../../lib/options/values.ts';
import { sleep } from '../../lib/shutdown.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { ResumedBatch, Sent, Sink, SinkDeps } from '../sink.ts';
import { Acknowledgements } from './ack.ts';
import { rangesOf } from './ack-circuit-breaker.ts';
import { AckModeDetector, describeGuarantee } from './ack-mode.ts';
import { defaultPollInterval, type PollInterval } from './ack-poller.ts';
import { Bodies } from './body.ts';
import { Cookies } from './cookies.ts';
import { Envelopes, statusEnvelope } from './envelope.ts';
import type { SplunkHecOptions } from './options.ts';
import { type HecChannel, type Outcome, paths, Requests } from './requests.ts';

/** The most of an answer that is read; a HEC's own are under 1 KiB, but for acks. */
const maxAnswerBytes = 64 * 1024;
/** Batches that may wait for their acknowledgement. */
const ackWindow = 32;
/** First and longest rest after an answer that accepts but asks for less (codes 24 and 25), milliseconds. */
const rest = { firstMs: 250, longestMs: 5_000 };
const mostUnknownCodes = 20;

/**
 * Opens a Splunk HTTP Event Collector as a sink. Nothing is sent yet; what `deps.journal` tells of acknowledgements is
 * asked about at once. `window` may change from one batch to the next: 1 until the collector was asked whether it
 * acknowledges. @throws the file system's or OpenSSL's error for a file of the tls block
 */
export function openSplunkHec(
  options: SplunkHecOptions,
  deps: SinkDeps,
  pace: PollInterval = defaultPollInterval,
): Sink {
  warnAtStart(options, deps);
  return new SplunkHec(options, deps, pace);
}

class SplunkHec implements Sink {
  readonly limits: Sink['limits'];
  readonly #options: SplunkHecOptions;
  readonly #deps: SinkDeps;
  readonly #http: HttpClient;
  readonly #requests: Requests;
  readonly #bodies: Bodies;
  readonly #proof: AckModeDetector;
  readonly #acks: Acknowledgements;
  /** Where there is no acknowledgement: no channel, only cookies. */
  #plain: HecChannel = { id: undefined, cookies: new Cookies() };
  #restMs = 0;
  #window = ackWindow;
  #saidUntimed = false;
  readonly #saidCodes = new Set<number>();

  constructor(options: SplunkHecOptions, deps: SinkDeps, pace: PollInterval) {
    this.#options = options;
    this.#deps = deps;
    const { url, token, index } = options;
    this.#http = httpClient({
      timeoutMs: options.timeout,
      maxBodyBytes: maxAnswerBytes,
      largeBody: 'cut',
      userAgent: `qasphere-siem-forwarder/${deps.version}`,
      tls: tlsMaterial(options.tls),
      proxy: options.proxy,
      env: deps.env,
      onCertificate: (endsAtMs) =>
        deps.emit({ event: 'tls.certificate', peer: `sink/${deps.name}`, whose: 'server', endsAtMs }),
    });
    this.#requests = new Requests({ url, token, index, http: this.#http, now: deps.now });
    const envelopes = new Envelopes({ ...options, host: options.host ?? deps.tenant }, deps.format.json);
    this.#bodies = new Bodies(envelopes, options.compression === 'gzip');
    this.limits = { ...options.batch, overheadBytes: envelopes.overheadBytes };
    this.#proof = new AckModeDetector(options, this.#requests, (proof) =>
      deps.emit({
        event: 'sink.info',
        sink: deps.name,
        topic: 'proof_of_delivery',
        detail: describeGuarantee[proof],
      }),
    );
    this.#acks = new Acknowledgements({
      requests: this.#requests,
      owner: () => ({ url, token: token.current }),
      ackTimeoutMs: options.ackTimeout,
      pace,
      now: deps.now,
      elapsed: () => performance.now(),
      warn: (detail) => this.#warn('acknowledgement', detail),
      refused: (refusal) => {
        this.#proof.forget();
        return this.#again(refusal);
      },
      journal: deps.pendingAcks,
    });
  }

  get window(): number {
    if (this.#proof.known === 'answer') return 1;
    return this.#proof.known === undefined && this.#options.acknowledgement === 'auto' ? 1 : this.#window;
  }

  get resumed(): readonly ResumedBatch[] {
    return this.#acks.recovered;
  }

  pendingAcks(): unknown {
    return this.#acks.journal();
  }

  finish(kill: AbortSignal): Promise<void> {
    return this.#acks.finish(kill);
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    if (this.#restMs > 0) await sleep(this.#restMs, kill);
    kill.throwIfAborted();
    const proof = await this.#proof.settle(kill);
    if (typeof proof !== 'string') return proof;
    const held = proof === 'answer' ? undefined : this.#acks.doubt.holds();
    if (held !== undefined) return held;
    const { bytes, untimed } = await this.#bodies.pack(batch);
    if (untimed > 0) this.#sayUntimed(untimed);
    const about = { events: batch.records.length, gzip: this.#options.compression === 'gzip' };

    if (proof === 'answer') {
      const outcome = await this.#requests.post(paths.data, this.#plain, bytes, about, kill);
      // Where an indexer failed, another one may be reached without its cookie.
      if (outcome.answer === undefined || outcome.answer.status >= 500)
        this.#plain = { id: undefined, cookies: new Cookies() };
      this.#heed(outcome);
      return outcome.reply.code === 10 ? this.#again(outcome.verdict) : outcome.verdict;
    }
    const { channel } = this.#acks;
    using _ = channel.posting();
    const outcome = await this.#acks.post(channel, bytes, about, kill);
    this.#heed(outcome);
    if (outcome.verdict.kind !== 'accepted')
      return outcome.reply.code === 14 ? this.#again(outcome.verdict) : outcome.verdict;
    if (outcome.reply.ackId === undefined) {
      channel.retire();
      return this.#unnumbered(batch);
    }
    return this.#acks.took(channel, outcome.reply.ackId, batch, kill);
  }

  /** On a channel of its own: nobody asks for its acknowledgement, and Splunk forgets the channel when it is idle. */
  async sendStatus(note: StatusRecord, kill: AbortSignal): Promise<Verdict> {
    const body = statusEnvelope(note, { ...this.#options, host: this.#options.host ?? this.#deps.tenant });
    const party = { id: randomUUID(), cookies: new Cookies() };
    const { verdict } = await this.#requests.post(paths.data, party, body, { events: 1, gzip: false }, kill);
    return verdict;
  }

  /** An empty request goes the whole way and delivers nothing: "No data" (code 5) comes after the token was accepted. */
  async probe(kill: AbortSignal): Promise<Verdict> {
    const proof = await this.#proof.settle(kill);
    if (typeof proof !== 'string') return proof;
    const party = proof === 'answer' ? this.#plain : this.#acks.channel;
    const { verdict, reply } = await this.#requests.post(
      paths.data,
      party,
      Buffer.alloc(0),
      { events: 0, gzip: false },
      kill,
    );
    return reply.code === 5 ? accepted : verdict;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#acks[Symbol.asyncDispose]();
    this.#http[Symbol.dispose]();
  }

  /** The token's acknowledgement was switched on or off meanwhile: with `auto` that is asked about, and no one's fault. */
  #again(verdict: Verdict): Verdict {
    this.#proof.forget();
    if (this.#options.acknowledgement !== 'auto' || verdict.kind === 'accepted') return verdict;
    return { kind: 'retry', reason: 'address', detail: `the token's acknowledgement was switched: ${verdict.detail}` };
  }

  /** Taken, but under no number: never taken for a delivery, and asked about before anything is sent again. */
  #unnumbered(batch: Batch): Verdict {
    this.#proof.forget();
    const why =
      'taken without an ackId, so not counted as delivered: switch indexer acknowledgement on for the token (useACK), see whether a proxy rewrites answers, or set acknowledgement: false';
    const verdict = this.#acks.doubt.struck(rangesOf(batch), why);
    if (this.#options.acknowledgement !== true || verdict.kind !== 'retry' || verdict.afterMs !== undefined)
      return verdict;
    return { kind: 'stop', reason: 'address', detail: verdict.detail };
  }

  /** What an answer says besides its verdict. */
  #heed({ verdict, reply, slowDown }: Outcome): void {
    if (verdict.kind !== 'accepted') return;
    if (slowDown !== undefined)
      this.#restMs = Math.min(rest.longestMs, this.#restMs === 0 ? rest.firstMs : this.#restMs * 2);
    else this.#restMs = 0;
    if (slowDown === 'acknowledgements') {
      this.#window = Math.max(1, Math.floor(this.#window / 2));
      this.#acks.askNow();
    } else if (slowDown === undefined) this.#window = Math.min(ackWindow, this.#window * 2);
    const { code } = reply;
    if (code === undefined || code === 0 || slowDown !== undefined) return;
    if (this.#saidCodes.has(code) || this.#saidCodes.size >= mostUnknownCodes) return;
    this.#saidCodes.add(code);
    this.#warn('unknown_code', `accepted with a code that is not known here: ${code}`);
  }

  #sayUntimed(events: number): void {
    this.#deps.emit({ event: 'sink.untimed', sink: this.#deps.name, events });
    if (this.#saidUntimed) return;
    this.#saidUntimed = true;
    this.#warn(
      'unreadable_time',
      'an event has no readable createdAt: Splunk dates it by its receipt (said once per start)',
    );
  }

  #warn(topic: string, detail: string): void {
    this.#deps.emit({ event: 'sink.warning', sink: this.#deps.name, topic, detail });
  }
}

function warnAtStart(options: SplunkHecOptions, deps: SinkDeps): void {
  const warn = (topic: string, detail: string) => deps.emit({ event: 'sink.warning', sink: deps.name, topic, detail });
  const { protocol, hostname } = new URL(options.url);
  if (protocol === 'http:' && !isLoopback(hostname))
    warn('plain_http', 'the token goes in clear over http://: use https://');
  if (options.tls?.insecureSkipVerify === true)
    warn(
      'insecure_tls',
      'tls.insecureSkipVerify is on: any certificate is accepted, so anyone between can read and change what is sent',
    );
}
