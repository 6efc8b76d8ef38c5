import type { Batch, Encoded } from '../../core/event.ts';
import { accepted, type SetAside, type Verdict } from '../../core/verdict.ts';
import type { Sent, Sink, SinkDeps } from '../sink.ts';
import { targetOf } from './address.ts';
import { type Delivery, deliveryTo } from './delivery.ts';
import { defaultMaxBytes, messageWithin, rulesOf } from './fit.ts';
import type { SyslogOptions } from './options.ts';

/** A sink that speaks syslog. @throws the file system's or OpenSSL's error where a file of `tls` can't be read */
export function openSyslog(options: SyslogOptions, deps: SinkDeps): Sink {
  const target = targetOf(options.address);
  const rules = rulesOf(options, deps);
  const maxBytes = options.maxMessageBytes ?? defaultMaxBytes(target.transport);
  const delivery = deliveryTo(target, options, deps);
  return new SyslogSink(delivery, (encoded) => messageWithin(encoded, maxBytes, rules, deps.format));
}

class SyslogSink implements Sink {
  readonly #delivery: Delivery;
  readonly #compose: (encoded: Encoded) => Buffer | SetAside;

  constructor(delivery: Delivery, compose: (encoded: Encoded) => Buffer | SetAside) {
    this.#delivery = delivery;
    this.#compose = compose;
  }

  get window(): number {
    return this.#delivery.window;
  }
  get limits() {
    return this.#delivery.limits;
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    const messages: Buffer[] = [];
    for (const [index, encoded] of batch.records.entries()) {
      const message = this.#compose(encoded);
      if (!Buffer.isBuffer(message)) return { ...message, culprit: index };
      messages.push(message);
    }
    return this.#delivery.send(messages, kill);
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
