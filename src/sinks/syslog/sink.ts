import type { Batch, Encoded } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { Mutex } from '../../lib/mutex.ts';
import { accepted, type Reject, type Verdict } from '../../lib/verdict.ts';
import type { Sent, Sink, SinkDeps } from '../sink.ts';
import { targetOf } from './address.ts';
import { type Delivery, deliveryTo } from './delivery.ts';
import { Message, statusMessage } from './message.ts';
import { defaultMaxBytes, messageWithin, rulesOf } from './message-size.ts';
import type { SyslogOptions } from './options.ts';

/** A sink that speaks syslog. @throws the file system's or OpenSSL's error where a file of `tls` can't be read */
export function openSyslog(options: SyslogOptions, deps: SinkDeps): Sink {
  const target = targetOf(options.address);
  const rules = rulesOf(options, deps);
  const maxBytes = options.maxMessageBytes ?? defaultMaxBytes(target.transport);
  const delivery = deliveryTo(target, options, deps);
  return new SyslogSink(
    delivery,
    (encoded) => messageWithin(encoded, maxBytes, rules, deps.format),
    (note) => statusMessage(rules, note),
  );
}

const isMessage = (one: Message | Reject): one is Message => one instanceof Message;

class SyslogSink implements Sink {
  readonly #delivery: Delivery;
  readonly #compose: (encoded: Encoded) => Message | Reject;

  readonly #composeNote: (note: StatusRecord) => Message;
  /** A delivery is used by one at a time. */
  readonly #turns = new Mutex();

  constructor(
    delivery: Delivery,
    compose: (encoded: Encoded) => Message | Reject,
    composeNote: (note: StatusRecord) => Message,
  ) {
    this.#delivery = delivery;
    this.#compose = compose;
    this.#composeNote = composeNote;
  }

  get window(): number {
    return this.#delivery.window;
  }
  get limits() {
    return this.#delivery.limits;
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    const composed = batch.records.map(this.#compose);
    if (composed.every(isMessage)) return this.#write(composed, kill);
    const failedIndex = composed.findIndex((one) => !isMessage(one));
    return { ...(composed[failedIndex] as Reject), failedIndex };
  }

  sendStatus(note: StatusRecord, kill: AbortSignal): Promise<Verdict | Sent> {
    return this.#write([this.#composeNote(note)], kill);
  }

  #write(messages: readonly Message[], kill: AbortSignal): Promise<Verdict | Sent> {
    const { returns } = this.#delivery;
    return this.#turns.take(() => this.#delivery.send(messages, kill, returns));
  }

  async finish(kill: AbortSignal): Promise<void> {
    await this.#delivery.finish(kill);
  }
  async probe(kill: AbortSignal): Promise<Verdict> {
    return (await this.#delivery.probe(kill))?.verdict ?? accepted;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#delivery.dispose();
  }
}
