import { withoutControls } from '../../event/escape.ts';
import { type AuditEvent, auditEvent, type Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import type { Format } from '../../format/format.ts';
import { bugText } from '../../lib/printable.ts';
import type { Reject } from '../../lib/verdict.ts';
import type { SinkDeps } from '../sink.ts';
import { createHeader, type Header, type HeaderOptions, headerField, parameter, timestamp } from './header.ts';
import { facilities, type SyslogOptions, type Target, targetOf } from './options.ts';
import { severities, severityByAction } from './severity.ts';
import { truncate } from './truncate.ts';

/** How a sink writes its messages. */
export interface MessageOptions extends HeaderOptions {
  readonly header: Header;
  readonly format: Format;
  /** Longest message without the frame's count. */
  readonly maxBytes: number;
}

/**
 * Longest message that a receiver with default settings accepts whole, bytes. rsyslog splits at some 8,097 bytes even with
 * octet counting and parses the rest as a message. UDP: what every IPv6 receiver must accept (RFC 5426 section 3.2).
 */
const defaultMaxBytes = (transport: Target['transport']) => (transport === 'udp' ? 1180 : 8000);

export function messageOptions(options: SyslogOptions, deps: Pick<SinkDeps, 'tenant' | 'format'>): MessageOptions {
  const { transport } = targetOf(options.address);
  const local = transport === 'unix';
  const rules = {
    rfc: options.rfc ?? (options.address === 'unix:///dev/log' ? 3164 : 5424),
    local,
    tag: local || !['cef', 'leef'].includes(deps.format.name),
    facility: typeof options.facility === 'number' ? options.facility : facilities.indexOf(options.facility),
    severityOf: severityByAction(options.severity),
    appName: options.appName,
    sdId: options.sdId,
    tenant: deps.tenant,
    format: deps.format,
    maxBytes: options.maxMessageBytes ?? defaultMaxBytes(transport),
  } as const;
  return { ...rules, header: createHeader(rules) };
}

/** A message without a frame: header and payload (MSG). */
interface Message {
  readonly bytes: Buffer;
  readonly payload: Buffer;
}

/** The message of one record, without a frame: shortened if it is longer than `maxBytes`, rejected if that is not enough. */
export function composeMessage(encoded: Encoded, options: MessageOptions): Buffer | Reject {
  const composed = compose(encoded, options);
  return 'kind' in composed ? composed : composed.bytes;
}

/** The part of a record's message that is the record, as the receiver gets it. */
export function composePayload(encoded: Encoded, options: MessageOptions): Buffer {
  const composed = compose(encoded, options);
  return 'kind' in composed ? encoded.record : composed.payload;
}

function compose(encoded: Encoded, options: MessageOptions): Message | Reject {
  const { format, maxBytes } = options;
  if (encoded.record.length <= maxBytes) {
    const whole = join(options.header(encoded.redacted, false), encoded.record, format.json);
    if (whole.bytes.length <= maxBytes) return whole;
  }
  const payloads = new Map<Buffer, Buffer>();
  const attempt = (event: AuditEvent) => {
    const { bytes, payload } = join(options.header(event, true), format.encode(event), format.json);
    payloads.set(bytes, payload);
    return bytes;
  };
  try {
    const bytes = truncate(encoded.redacted, maxBytes, attempt);
    const payload = bytes && payloads.get(bytes);
    if (bytes !== undefined && payload !== undefined) return { bytes, payload };
  } catch (error) {
    const detail = `the shortened event could not be encoded: ${bugText(error)}`;
    return { kind: 'reject', reason: 'malformed', detail };
  }
  const detail = `longer than maxMessageBytes (${maxBytes}) even after shortening: raise maxMessageBytes`;
  return { kind: 'reject', reason: 'too_large', detail };
}

/** The message of a status record: MSGID is its name, the payload is JSON. */
export function composeStatusMessage(record: StatusRecord, options: MessageOptions): Buffer {
  const severity = isWarning(record) ? severities.warning : severities.info;
  const payload = Buffer.from(statusRecordText(record));
  const { rfc, facility, tenant, appName, sdId } = options;
  if (rfc === 3164) {
    const event = auditEvent({ id: 0n, text: payload, value: {}, receivedAtMs: record.atMs });
    return join(createHeader({ ...options, severityOf: () => severity })(event, false), payload, true).bytes;
  }
  const names = `${headerField(tenant, 255)} ${headerField(appName, 48)} - ${record.event}`;
  const header = `<${facility * 8 + severity}>1 ${timestamp(record.atMs)} ${names} [${sdId}${parameter('tenant', tenant)}] `;
  return join(header, payload, true).bytes;
}

const isWarning = ({ event }: StatusRecord) => event === 'forwarder.set_aside' || event === 'forwarder.interrupted';

/**
 * Header and payload in one buffer. No payload has a control character, which could end a frame or start a second message:
 * in JSON the escapes keep the value, elsewhere the reader sees them.
 */
function join(header: string, record: Buffer, json: boolean): Message {
  const payload = withoutControls(record, json);
  const headerBytes = Buffer.byteLength(header, 'utf8');
  const bytes = Buffer.allocUnsafe(headerBytes + payload.length);
  bytes.write(header, 'utf8');
  payload.copy(bytes, headerBytes);
  return { bytes, payload };
}
