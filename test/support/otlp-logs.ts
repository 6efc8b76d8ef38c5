/** A log record as it arrived, in either encoding of OTLP. */
export interface ReceivedLog {
  readonly timeUnixNano: bigint;
  readonly observedTimeUnixNano: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: { readonly name: string; readonly version: string };
}

type Field = bigint | Buffer;

/** The fields of a protobuf message by number (Protocol Buffers, "Encoding"). @throws if it is cut off or malformed */
function fieldsIn(message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('the message is cut off');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number): Buffer => {
    if (at + length > message.length) throw new Error('the message is cut off');
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const type = tag & 7;
    let field: Field;
    if (type === 0) field = varint();
    else if (type === 1) field = bytes(8).readBigUInt64LE();
    else if (type === 2) field = bytes(Number(varint()));
    else if (type === 5) field = BigInt(bytes(4).readUInt32LE());
    else throw new Error(`unknown wire type ${type}`);
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), field]);
  }
  return fields;
}

const messages = (fields: Map<number, Field[]>, number: number) =>
  (fields.get(number) ?? []).map((field) => fieldsIn(field as Buffer));
const text = (fields: Map<number, Field[]> | undefined, number: number) => String(fields?.get(number)?.at(-1) ?? '');
const integer = (fields: Map<number, Field[]>, number: number) => (fields.get(number)?.at(-1) ?? 0n) as bigint;
const pairs = (fields: Map<number, Field[]> | undefined, number: number) =>
  Object.fromEntries(
    messages(fields ?? new Map(), number).map((pair) => [text(pair, 1), text(messages(pair, 2)[0], 1)]),
  );

/** Reads `ExportLogsServiceRequest` (opentelemetry-proto, logs_service.proto) in protobuf. */
export function logsFromProtobuf(request: Buffer): ReceivedLog[] {
  return messages(fieldsIn(request), 1).flatMap((resourceLogs) =>
    messages(resourceLogs, 2).flatMap((scopeLogs) =>
      messages(scopeLogs, 2).map((log) => {
        const [scope] = messages(scopeLogs, 1);
        return {
          timeUnixNano: integer(log, 1),
          observedTimeUnixNano: integer(log, 11),
          severityNumber: Number(integer(log, 2)),
          severityText: text(log, 3),
          body: text(messages(log, 5)[0], 1),
          attributes: pairs(log, 6),
          resource: pairs(messages(resourceLogs, 1)[0], 1),
          scope: { name: text(scope, 1), version: text(scope, 2) },
        };
      }),
    ),
  );
}

interface JsonPair {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}
interface JsonRequest {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly JsonPair[] };
    readonly scopeLogs: readonly {
      readonly scope: ReceivedLog['scope'];
      readonly logRecords: readonly {
        readonly timeUnixNano: unknown;
        readonly observedTimeUnixNano: unknown;
        readonly severityNumber: number;
        readonly severityText: string;
        readonly body: JsonPair['value'];
        readonly attributes: readonly JsonPair[];
      }[];
    }[];
  }[];
}

/** The same in OTLP/JSON, in which 64-bit numbers are strings. */
export function logsFromJson(request: string): ReceivedLog[] {
  const { resourceLogs } = JSON.parse(request) as JsonRequest;
  const object = (list: readonly JsonPair[]) =>
    Object.fromEntries(list.map(({ key, value }) => [key, value.stringValue]));
  const nanos = (value: unknown) => {
    if (typeof value !== 'string') throw new Error(`a 64-bit number is no string: ${JSON.stringify(value)}`);
    return BigInt(value);
  };
  return resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ scope, logRecords }) =>
      logRecords.map(({ timeUnixNano, observedTimeUnixNano, severityNumber, severityText, body, attributes }) => ({
        timeUnixNano: nanos(timeUnixNano),
        observedTimeUnixNano: nanos(observedTimeUnixNano),
        severityNumber,
        severityText,
        body: body.stringValue,
        attributes: object(attributes),
        resource: object(resource.attributes),
        scope,
      })),
    ),
  );
}
