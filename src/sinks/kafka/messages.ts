import type { MessageToProduce } from '@platformatic/kafka';
import type { Batch, Encoded } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { fieldsOf } from '../../format/fields.ts';
import type { KafkaOptions } from './options.ts';

export type Message = MessageToProduce<Buffer, Buffer, Buffer, Buffer>;

/** Records that are sent in one request: to one partition, and close in time. */
export interface Group {
  readonly partition: number;
  readonly indexes: readonly number[];
  readonly messages: readonly Message[];
}

/**
 * A record batch stores each time as the distance from its first record's. The library writes a distance of 2^31 ms (24.8 days) or
 * more wrongly (seen in 2.12), so records that are further apart go into separate requests.
 */
const MAX_SPAN_MS = 24 * 86_400_000;

/** Bytes of key, headers and framing beside a record's value, at most, with usual names. */
export const recordOverheadBytes = 256;

/** Cuts a batch into groups, in the order of ids within each partition. `partitionOf`: of a key, or of the whole batch without. */
export function groupsOf(
  { records }: Batch,
  { topic, key }: KafkaOptions,
  tenant: string,
  partitionOf: (key: Buffer | undefined) => number,
): Group[] {
  const open = new Map<number, { indexes: number[]; messages: Message[]; firstMs: number }>();
  const groups: { partition: number; indexes: number[]; messages: Message[] }[] = [];
  for (const [index, encoded] of records.entries()) {
    const messageKey = keyOf(encoded, key, tenant);
    const partition = partitionOf(messageKey);
    const ms = timeOf(encoded);
    let group = open.get(partition);
    if (group === undefined || Math.abs(ms - group.firstMs) > MAX_SPAN_MS) {
      group = { indexes: [], messages: [], firstMs: ms };
      open.set(partition, group);
      groups.push({ partition, ...group });
    }
    group.indexes.push(index);
    group.messages.push({
      topic,
      partition,
      ...(messageKey !== undefined && { key: messageKey }),
      value: encoded.record,
      headers: headersOf({ id: String(encoded.event.id), tenant, action: encoded.redacted.action }),
      timestamp: BigInt(ms),
    });
  }
  return groups;
}

/** A status record has the header `type` and no `id`. */
export function statusMessage(record: StatusRecord, topic: string, tenant: string, partition: number): Message {
  return {
    topic,
    partition,
    key: Buffer.from(tenant),
    value: Buffer.from(statusRecordText(record)),
    headers: headersOf({ type: 'status', tenant, action: record.event }),
    timestamp: BigInt(Math.max(0, Math.trunc(record.atMs))),
  };
}

function keyOf({ redacted }: Encoded, key: KafkaOptions['key'], tenant: string): Buffer | undefined {
  if (key === 'none') return undefined;
  if (key === 'tenant') return Buffer.from(tenant);
  const id = fieldsOf(redacted).user?.id;
  return id === undefined ? undefined : Buffer.from(id);
}

/** `createdAt`, or the time of receipt without one; the protocol has no time before 1970. */
const timeOf = ({ event }: Encoded) => Math.max(0, Math.trunc(event.createdAtMs ?? event.receivedAtMs));

const headersOf = (values: Readonly<Record<string, string>>) =>
  new Map(Object.entries(values).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]));
