import type { AuditEvent, Batch, Encoded } from '../../core/event.ts';
import { accepted, type SetAside, type Verdict } from '../../core/verdict.ts';
import type { Sent, Sink, SinkDeps } from '../sink.ts';
import { targetOf } from './address.ts';
import { type Delivery, deliveryTo } from './delivery.ts';
import { type MessageRules, syslogMessage } from './message.ts';
import { facilities, type SyslogOptions } from './options.ts';
import { severityByAction } from './severity.ts';
import { shortened } from './shorten.ts';

/** A sink that speaks syslog. @throws the file system's or OpenSSL's error where a file of `tls` can't be read */
export function openSyslog(options: SyslogOptions, deps: SinkDeps): Sink {
  const target = targetOf(options.address);
  const local = target.transport === 'unix';
  const rules: MessageRules = {
    rfc: options.rfc ?? (options.address === 'unix:///dev/log' ? 3164 : 5424),
    local,
    facility: typeof options.facility === 'number' ? options.facility : facilities.indexOf(options.facility),
    severityOf: severityByAction(options.severity),
    appName: options.appName,
    sdId: options.sdId,
    tenant: deps.tenant,
    json: deps.format.json,
  };
  const maxBytes = options.maxMessageBytes ?? (target.transport === 'udp' ? 1180 : 8000);
  const delivery = deliveryTo(target, options, deps);
  return new SyslogSink(delivery, (encoded) => messageWithin(encoded, maxBytes, rules, deps));
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

/** The message of one record, shortened by rule where it is longer than `maxBytes`. */
function messageWithin(encoded: Encoded, maxBytes: number, rules: MessageRules, deps: SinkDeps): Buffer | SetAside {
  if (encoded.record.length <= maxBytes) {
    const whole = syslogMessage(rules, encoded.shown, encoded.record);
    if (whole.length <= maxBytes) return whole;
  }
  const compose = (event: AuditEvent) => syslogMessage(rules, event, deps.format.encode(event), true);
  return (
    shortened(encoded.shown, maxBytes, compose) ?? {
      kind: 'set-aside',
      reason: 'too_large',
      detail: `longer than maxMessageBytes (${maxBytes}) even with its values shortened`,
    }
  );
}
