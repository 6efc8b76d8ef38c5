import type { IExportLogsServiceResponse, ISerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import type { Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { createActions } from '../../format/actions.ts';
import { fieldsOf } from '../../format/fields.ts';
import type { SinkDeps } from '../sink.ts';

/** One log record as the serializers of OpenTelemetry take it. */
type LogRecord = Parameters<typeof ProtobufLogsSerializer.serializeRequest>[0][number];

/** Requests and answers of OTLP logs in one of its two encodings. */
export type LogsSerializer = ISerializer<LogRecord[], IExportLogsServiceResponse>;

/** Bytes that a log record adds to the record in its body, at most, with usual users and actions. */
export const recordOverheadBytes = 512;

/** SeverityNumber and SeverityText (OpenTelemetry, logs data model) by the grade in the table of actions. */
const severities = {
  informational: [9, 'INFO'],
  low: [10, 'INFO2'],
  medium: [13, 'WARN'],
  high: [17, 'ERROR'],
} as const;

/** Makes records into log records. Attributes come from the redacted event, as the record does. */
export class LogRecords {
  readonly #deps: SinkDeps;
  readonly #actions = createActions();
  readonly #scope: LogRecord['instrumentationScope'];
  readonly #audit: LogRecord['resource'];
  readonly #own: LogRecord['resource'];

  constructor(deps: SinkDeps) {
    this.#deps = deps;
    this.#scope = { name: 'qasphere-siem-forwarder', version: deps.version };
    this.#audit = resource({ 'service.name': 'qasphere', 'qasphere.tenant': deps.tenant });
    this.#own = resource({ 'service.name': 'qasphere-siem-forwarder', 'qasphere.tenant': deps.tenant });
  }

  /** `timeUnixNano` is `createdAt`; it is 0, unknown, if that is missing or unreadable. */
  of({ event, redacted, record }: Encoded): LogRecord {
    const { id, action, user, ip } = fieldsOf(redacted);
    const [severityNumber, severityText] = severities[this.#actions.meaningOf(event.action).severity];
    return this.#record(this.#audit, {
      hrTime: hrTime(redacted.createdAtMs ?? 0),
      hrTimeObserved: hrTime(event.receivedAtMs),
      severityNumber,
      severityText,
      body: record.toString('utf8'),
      attributes: defined({
        'event.id': id,
        'event.name': action,
        'user.id': user?.id,
        'user.email': user?.email,
        'client.address': ip,
      }),
    });
  }

  /** A status record has another `service.name`. */
  ofStatus(status: StatusRecord): LogRecord {
    const [severityNumber, severityText] = severities.informational;
    return this.#record(this.#own, {
      hrTime: hrTime(status.atMs),
      hrTimeObserved: hrTime(this.#deps.now()),
      severityNumber,
      severityText,
      body: statusRecordText(status),
      attributes: { 'event.name': status.event },
    });
  }

  #record(
    about: LogRecord['resource'],
    parts: Pick<LogRecord, 'hrTime' | 'hrTimeObserved' | 'severityText' | 'body' | 'attributes'> & {
      readonly severityNumber: number;
    },
  ): LogRecord {
    return { ...parts, resource: about, instrumentationScope: this.#scope, droppedAttributesCount: 0 };
  }
}

const resource = (attributes: Record<string, string>): LogRecord['resource'] => ({
  attributes,
  merge: () => {
    throw new Error('this resource is final');
  },
  getRawAttributes: () => Object.entries(attributes),
});

/** Seconds and nanoseconds; never negative, since the field is unsigned. */
function hrTime(ms: number): [number, number] {
  const whole = Math.max(0, Math.trunc(ms));
  return [Math.trunc(whole / 1000), (whole % 1000) * 1_000_000];
}

const defined = (attributes: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
