import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import type { HttpAnswer } from '../../lib/http.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { BatchRequest } from '../http-batch.ts';
import type { HttpDestination } from '../http-batch-sink.ts';
import { type Credentials, headerCredentials } from '../http-options.ts';
import type { HttpPost } from '../http-sender.ts';
import type { BatchLimits, SinkDeps } from '../sink.ts';
import { LogRecords, type LogsSerializer, recordOverheadBytes } from './encode.ts';
import type { OtlpOptions } from './options.ts';

/**
 * An OTLP/HTTP receiver of logs. Requests are made by OpenTelemetry's own serializers, but not by its exporter, which
 * reports success if a part of a request was rejected.
 */
export class OtlpReceiver implements HttpDestination {
  readonly limits: BatchLimits;
  readonly #options: OtlpOptions;
  readonly #records: LogRecords;
  readonly #credentials: Credentials;
  #serializer: LogsSerializer | undefined;

  constructor(options: OtlpOptions, deps: SinkDeps) {
    this.#options = options;
    this.#records = new LogRecords(deps);
    this.#credentials = headerCredentials(options.headers);
    this.limits = { ...options.batch, overheadBytes: recordOverheadBytes };
  }

  post({ records }: Batch): Promise<HttpPost> {
    return this.#post(records.map((encoded) => this.#records.of(encoded)));
  }

  postStatus(record: StatusRecord): Promise<HttpPost> {
    return this.#post([this.#records.ofStatus(record)]);
  }

  /** A request without records is valid. */
  postNothing(): Promise<HttpPost> {
    return this.#post([]);
  }

  async #post(records: Parameters<LogsSerializer['serializeRequest']>[0]): Promise<HttpPost> {
    const { url, encoding } = this.#options;
    this.#serializer ??= await serializer(encoding);
    const { serializeRequest, deserializeResponse } = this.#serializer;
    return {
      url,
      contentType: encoding === 'protobuf' ? 'application/x-protobuf' : 'application/json',
      body: Buffer.from(serializeRequest(records) ?? []),
      events: records.length,
      credentials: this.#credentials,
      interpret: (answer, request) => exportVerdict(answer, request, deserializeResponse),
    };
  }
}

/** The library is loaded only if an otlp sink is used. */
async function serializer(encoding: OtlpOptions['encoding']): Promise<LogsSerializer> {
  const { JsonLogsSerializer, ProtobufLogsSerializer } = await import('@opentelemetry/otlp-transformer');
  return encoding === 'protobuf' ? ProtobufLogsSerializer : JsonLogsSerializer;
}

/**
 * The verdict on a success, which may be partial (OpenTelemetry specification, "Partial Success"): it says how many records
 * were rejected, but not which, so the batch is narrowed down, and those that were taken come again. Any other answer
 * has no words of its own.
 */
function exportVerdict(
  answer: HttpAnswer,
  { events }: BatchRequest,
  deserializeResponse: LogsSerializer['deserializeResponse'],
): Verdict | undefined {
  const type = answer.headers['content-type'] ?? '';
  if (answer.status < 200 || answer.status >= 300 || !/^application\/(x-protobuf|json)/i.test(type)) return undefined;
  // An empty body is a response without members.
  if (answer.body.length === 0) return accepted;
  let rejected: unknown;
  try {
    // The library takes JSON that it can't read for a response without members.
    if (/json/i.test(type)) JSON.parse(answer.body.toString('utf8'));
    rejected = deserializeResponse(answer.body).partialSuccess?.rejectedLogRecords ?? 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { kind: 'retry', reason: 'server', detail: `the answer is not an OTLP response (HTTP ${answer.status})` };
  }
  const count = Number(rejected);
  if (count === 0 || events === 0) return accepted;
  // The receiver's message may quote a record, so it is left out.
  const detail = `the receiver rejects ${Number.isNaN(count) ? 'some' : count} of ${events} records`;
  return { kind: 'reject', reason: 'malformed', detail };
}
