import type { Batch } from '../../core/event.ts';
import { sleep } from '../../core/life.ts';
import { accepted, type Verdict } from '../../core/verdict.ts';
import { httpClient } from '../../net/http.ts';
import { tlsMaterial } from '../../net/tls.ts';
import { isLoopback } from '../../options/values.ts';
import type { Sent, Sink, SinkDeps } from '../sink.ts';
import { compress } from './compress.ts';
import { Cookies } from './cookies.ts';
import { Envelopes } from './envelope.ts';
import type { SplunkHecOptions } from './options.ts';
import { type Outcome, type Party, paths, Requests } from './requests.ts';

/** The most of an answer that is read; a HEC's own are under 1 KiB. */
const maxAnswerBytes = 64 * 1024;
/** First and longest rest after an answer that accepts but asks for less (codes 24 and 25), milliseconds. */
const rest = { firstMs: 250, longestMs: 5_000 };

/** Opens a Splunk HTTP Event Collector as a sink. Nothing is sent yet. */
export function openSplunkHec(options: SplunkHecOptions, deps: SinkDeps): Sink {
  warnAtStart(options, deps);
  return new SplunkHec(options, deps);
}

class SplunkHec implements Sink {
  readonly window = 1;
  readonly limits: Sink['limits'];
  readonly #options: SplunkHecOptions;
  readonly #deps: SinkDeps;
  readonly #http;
  readonly #requests: Requests;
  readonly #envelopes: Envelopes;
  #party: Party = { id: undefined, cookies: new Cookies() };
  #scratch = Buffer.alloc(0);
  #restMs = 0;
  #saidUntimed = false;
  readonly #saidCodes = new Set<number>();

  constructor(options: SplunkHecOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#http = httpClient({
      timeoutMs: options.timeout,
      maxBodyBytes: maxAnswerBytes,
      largeBody: 'drop',
      userAgent: `qasphere-siem-forwarder/${deps.version}`,
      tls: tlsMaterial(options.tls),
      proxy: options.proxy,
      env: deps.env,
    });
    this.#requests = new Requests({
      url: options.url,
      token: options.token,
      index: options.index,
      http: this.#http,
      now: deps.now,
    });
    this.#envelopes = new Envelopes({ ...options, host: options.host ?? deps.tenant }, deps.format.json);
    this.limits = { ...options.batch, overheadBytes: this.#envelopes.overheadBytes };
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    await sleep(this.#restMs, kill);
    kill.throwIfAborted();
    const body = await this.#body(batch);
    const about = { events: batch.records.length, gzip: this.#options.compression === 'gzip' };
    const outcome = await this.#requests.post(paths.data, this.#party, body, about, kill);
    this.#heed(outcome);
    return outcome.verdict;
  }

  /** An empty request goes the whole way and delivers nothing: "No data" (code 5) comes after the token was accepted. */
  async probe(kill: AbortSignal): Promise<Verdict> {
    const about = { events: 0, gzip: false };
    const { verdict, reply } = await this.#requests.post(paths.data, this.#party, Buffer.alloc(0), about, kill);
    return reply.code === 5 ? accepted : verdict;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http[Symbol.dispose]();
  }

  async #body(batch: Batch): Promise<Buffer> {
    const zip = this.#options.compression === 'gzip';
    // What zlib has read may be written over; what goes to the socket as it is may not.
    const { bytes, untimed } = this.#envelopes.body(batch, zip ? (length) => this.#lend(length) : undefined);
    if (untimed > 0) this.#sayUntimed(untimed);
    if (!zip) return bytes;
    const scratch = this.#scratch;
    this.#scratch = Buffer.alloc(0);
    const zipped = await compress(bytes);
    this.#scratch = scratch;
    return zipped;
  }

  #lend(length: number): Buffer {
    if (this.#scratch.length < length) this.#scratch = Buffer.allocUnsafeSlow(length);
    return this.#scratch;
  }

  #heed({ verdict, reply, answer, slowDown }: Outcome): void {
    if (slowDown !== undefined)
      this.#restMs = Math.min(rest.longestMs, this.#restMs === 0 ? rest.firstMs : this.#restMs * 2);
    else if (verdict.kind === 'accepted') this.#restMs = 0;
    // Another indexer may answer from here on.
    if (answer === undefined || answer.status >= 500) this.#party = { ...this.#party, cookies: new Cookies() };
    if (verdict.kind !== 'accepted' || reply.code === undefined || reply.code === 0 || slowDown !== undefined) return;
    if (this.#saidCodes.has(reply.code) || this.#saidCodes.size > 20) return;
    this.#saidCodes.add(reply.code);
    this.#warn('unknown_code', `accepted with a code nobody knows here: ${reply.code}`);
  }

  #sayUntimed(events: number): void {
    this.#deps.observe({ event: 'sink.untimed', sink: this.#deps.name, events });
    if (this.#saidUntimed) return;
    this.#saidUntimed = true;
    this.#warn(
      'unreadable_time',
      'an event has no readable createdAt: Splunk dates it by its receipt (said once per start)',
    );
  }

  #warn(topic: string, detail: string): void {
    this.#deps.observe({ event: 'sink.warning', sink: this.#deps.name, topic, detail });
  }
}

function warnAtStart(options: SplunkHecOptions, deps: SinkDeps): void {
  const warn = (topic: string, detail: string) =>
    deps.observe({ event: 'sink.warning', sink: deps.name, topic, detail });
  const { protocol, hostname } = new URL(options.url);
  if (protocol === 'http:' && !isLoopback(hostname))
    warn('plain_http', 'the token goes in clear over http://: use https://');
  if (options.tls?.insecureSkipVerify === true)
    warn(
      'insecure_tls',
      'tls.insecureSkipVerify is on: any certificate is accepted, anyone between can read and change what is sent',
    );
}
