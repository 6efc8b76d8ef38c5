import type { AuditEvent } from '../../core/event.ts';
import { type Note, noteText } from '../../core/note.ts';
import { escapePayload } from './escape.ts';
import { type Header, type HeaderRules, headerField, headerOf, parameter, Timestamps } from './header.ts';

/** How a sink writes its messages. */
export interface MessageRules extends HeaderRules {
  readonly header: Header;
  /** Whether the payload is JSON. */
  readonly json: boolean;
}

/**
 * One whole syslog message, without a frame: header made of `event`, payload `record`. No control character, DEL, C1,
 * U+2028 or U+2029 stands in it.
 */
export function syslogMessage(rules: MessageRules, event: AuditEvent, record: Buffer, shortened = false): Buffer {
  return joined(rules.header(event, shortened), escapePayload(record, rules.json));
}

/** A record of the forwarder's own: MSGID names it, the payload is JSON. */
export function noteMessage(rules: MessageRules, note: Note): Buffer {
  const severity = isGrave(note) ? 4 : 6;
  const payload = escapePayload(Buffer.from(noteText(note)), true);
  const { rfc, facility, tenant, appName, sdId } = rules;
  if (rfc === 3164) {
    const event = { id: 0n, text: payload, value: {}, receivedAtMs: note.atMs };
    return joined(headerOf({ ...rules, severityOf: () => severity })(event, false), payload);
  }
  const names = `${headerField(tenant, 255)} ${headerField(appName, 48)} - ${note.event}`;
  const time = new Timestamps().of(note.atMs);
  return joined(`<${facility * 8 + severity}>1 ${time} ${names} [${sdId}${parameter('tenant', tenant)}] `, payload);
}

const isGrave = ({ event }: Note) => event === 'forwarder.set_aside' || event === 'forwarder.interrupted';

function joined(header: string, payload: Buffer): Buffer {
  const length = Buffer.byteLength(header, 'utf8');
  const message = Buffer.allocUnsafe(length + payload.length);
  message.write(header, 0, 'utf8');
  payload.copy(message, length);
  return message;
}
