import { withoutControls } from '../../event/escape.ts';
import { auditEvent, type Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { type Header, type HeaderRules, headerField, headerOf, parameter, Timestamps } from './header.ts';

/** How a sink writes its messages. */
export interface MessageRules extends HeaderRules {
  readonly header: Header;
  /** Whether the payload is JSON. */
  readonly json: boolean;
}

/**
 * One whole syslog message, without a frame. It is put together where it is wanted: most go into one stretch of a stream,
 * which saves a buffer for each.
 */
export abstract class Message {
  /** Bytes of it. */
  abstract readonly length: number;

  /** Writes it into `target` from `at` on; gives the offset behind it. */
  abstract writeTo(target: Buffer, at: number): number;

  toBuffer(): Buffer {
    const bytes = Buffer.allocUnsafe(this.length);
    this.writeTo(bytes, 0);
    return bytes;
  }
}

class TextMessage extends Message {
  readonly length: number;
  readonly #header: string;
  readonly #headerLength: number;
  readonly #payload: Buffer;

  constructor(header: string, payload: Buffer) {
    super();
    this.#header = header;
    this.#headerLength = Buffer.byteLength(header, 'utf8');
    this.#payload = payload;
    this.length = this.#headerLength + payload.length;
  }

  writeTo(target: Buffer, at: number): number {
    const next = at + target.write(this.#header, at, this.#headerLength, 'utf8');
    return next + this.#payload.copy(target, next);
  }
}

/**
 * Header made of what is shown, payload the record. No control character, DEL, C1, U+2028 or U+2029 stands in it.
 * `shortened`: it says so.
 */
export function syslogMessage(rules: MessageRules, encoded: Encoded, shortened = false): Message {
  return new TextMessage(rules.header(encoded.redacted, shortened), withoutControls(encoded.record, rules.json));
}

/** A record of the forwarder's own: MSGID names it, the payload is JSON. */
export function statusMessage(rules: MessageRules, note: StatusRecord): Message {
  const severity = isGrave(note) ? 4 : 6;
  const payload = withoutControls(Buffer.from(statusRecordText(note)), true);
  const { rfc, facility, tenant, appName, sdId } = rules;
  if (rfc === 3164) {
    const event = auditEvent({ id: 0n, text: payload, value: {}, receivedAtMs: note.atMs });
    return new TextMessage(headerOf({ ...rules, severityOf: () => severity })(event, false), payload);
  }
  const names = `${headerField(tenant, 255)} ${headerField(appName, 48)} - ${note.event}`;
  const time = new Timestamps().of(note.atMs);
  return new TextMessage(
    `<${facility * 8 + severity}>1 ${time} ${names} [${sdId}${parameter('tenant', tenant)}] `,
    payload,
  );
}

const isGrave = ({ event }: StatusRecord) => event === 'forwarder.set_aside' || event === 'forwarder.interrupted';
