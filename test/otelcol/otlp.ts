/** An event as the collector understood it. */
export interface Received {
  readonly event: unknown;
  /** The envelope's host, source, sourcetype and index, and the token, under the receiver's names for them. */
  readonly resource: Readonly<Record<string, unknown>>;
  /** The envelope's fields. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The envelope's time, to the millisecond; 0 if it had none. */
  readonly timeMs: number;
}

/** `AnyValue` of the OpenTelemetry protocol, as JSON; null is a value without any member. */
interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] };
}

/** An empty key is left out. */
interface KeyValue {
  readonly key?: string;
  readonly value?: AnyValue;
}

interface LogsData {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes?: readonly KeyValue[] };
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly timeUnixNano?: string;
        readonly body: AnyValue;
        readonly attributes?: readonly KeyValue[];
      }[];
    }[];
  }[];
}

/** Reads a line of the file exporter. */
export function receivedFrom(line: string): Received[] {
  const { resourceLogs } = JSON.parse(line) as LogsData;
  return resourceLogs.flatMap(({ resource, scopeLogs }) => {
    const about = objectOf(resource.attributes);
    return scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ body, attributes, timeUnixNano = '0' }) => ({
        event: decoded(body),
        resource: about,
        fields: objectOf(attributes),
        timeMs: Math.round(Number(timeUnixNano) / 1e6),
      })),
    );
  });
}

function decoded({ stringValue, boolValue, doubleValue, arrayValue, kvlistValue }: AnyValue): unknown {
  if (arrayValue !== undefined) return (arrayValue.values ?? []).map(decoded);
  if (kvlistValue !== undefined) return objectOf(kvlistValue.values);
  return stringValue ?? boolValue ?? doubleValue ?? null;
}

function objectOf(pairs: readonly KeyValue[] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key = '', value = {} }) => [key, decoded(value)]));
}
