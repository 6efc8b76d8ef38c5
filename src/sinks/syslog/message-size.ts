import type { AuditEvent, Encoded } from '../../event/event.ts';
import type { Format } from '../../format/format.ts';
import { printable } from '../../lib/printable.ts';
import type { Reject } from '../../lib/verdict.ts';
import type { SinkDeps } from '../sink.ts';
import { type Target, targetOf } from './address.ts';
import { headerOf } from './header.ts';
import { type Message, type MessageRules, syslogMessage } from './message.ts';
import { facilities, type SyslogOptions } from './options.ts';
import { severityByAction } from './severity.ts';
import { truncate } from './truncate.ts';

export function rulesOf(options: SyslogOptions, deps: Pick<SinkDeps, 'tenant' | 'format'>): MessageRules {
  const local = targetOf(options.address).transport === 'unix';
  const rules = {
    rfc: options.rfc ?? (options.address === 'unix:///dev/log' ? 3164 : 5424),
    local,
    tag: local || !['cef', 'leef'].includes(deps.format.name),
    facility: typeof options.facility === 'number' ? options.facility : facilities.indexOf(options.facility),
    severityOf: severityByAction(options.severity),
    appName: options.appName,
    sdId: options.sdId,
    tenant: deps.tenant,
    json: deps.format.json,
  } as const;
  return { ...rules, header: headerOf(rules) };
}

/**
 * Longest message that the usual receiver takes whole, bytes: rsyslog splits at some 8,097 even with octet counting and
 * reads the rest as a message of its own; on UDP what RFC 5426 section 3.2 has every IPv6 receiver take.
 */
export const defaultMaxBytes = (transport: Target['transport']) => (transport === 'udp' ? 1180 : 8000);

/** The message of one record, shortened by rule where it is longer than `maxBytes`. */
export function messageWithin(
  encoded: Encoded,
  maxBytes: number,
  rules: MessageRules,
  format: Format,
): Message | Reject {
  if (encoded.record.length <= maxBytes) {
    const whole = syslogMessage(rules, encoded);
    if (whole.length <= maxBytes) return whole;
  }
  return shorterMessage(encoded, maxBytes, rules, format);
}

/** Apart, for a function with another in it makes an object at each call. */
function shorterMessage(encoded: Encoded, maxBytes: number, rules: MessageRules, format: Format): Message | Reject {
  const compose = (redacted: AuditEvent) =>
    syslogMessage(rules, { event: redacted, redacted, record: format.encode(redacted) }, true);
  try {
    const message = truncate(encoded.redacted, maxBytes, compose);
    if (message !== undefined) return message;
  } catch (error) {
    const why = printable(String(error));
    return { kind: 'reject', reason: 'malformed', detail: `shortened, it could not be encoded: ${why}` };
  }
  const detail = `longer than maxMessageBytes (${maxBytes}) even with its values shortened`;
  return { kind: 'reject', reason: 'too_large', detail };
}
