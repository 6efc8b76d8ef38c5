import * as z from 'zod';
import type { IdRange } from '../../event/id-ranges.ts';
import type { Channel } from './ack-channel.ts';

const digits = z.string().regex(/^-?\d{1,40}$/);

/** Keys of earlier versions of the program (a mark of the token) are ignored. */
const shape = z.object({
  version: z.literal(1),
  /** Base URL of the collector. */
  url: z.string(),
  channels: z.array(
    z.object({
      id: z.guid(),
      cookies: z.array(z.tuple([z.string(), z.string()])),
      open: z.array(
        z.object({
          ackId: z.int().min(0),
          /** Milliseconds since the epoch. */
          sentAt: z.int(),
          /** Single ids and inclusive pairs over ids without a hole. */
          ids: z.array(z.union([digits, z.tuple([digits, digits])])).min(1),
        }),
      ),
    }),
  ),
});

/** Pending acknowledgements as the checkpoint keeps them. */
export type PendingAcksRecord = z.infer<typeof shape>;

export function writePendingAcks(url: string, channels: Iterable<Channel>): PendingAcksRecord {
  return {
    version: 1,
    url,
    channels: Array.from(channels, ({ id, cookies, pending }) => ({
      id,
      cookies: cookies.toJSON(),
      open: Array.from(pending.values(), ({ ackId, sentAtMs, ranges }) => ({
        ackId,
        sentAt: sentAtMs,
        ids: ranges.map(([from, to]): Ids[number] => (from === to ? String(from) : [String(from), String(to)])),
      })),
    })),
  };
}

/**
 * Reads what an earlier process wrote for one collector, or a list for several. Returns `undefined` if there is nothing, or it belongs to another collector;
 * `unreadable` if `writePendingAcks` did not write it. A new token changes nothing: the channels are the collector's.
 */
export function readPendingAcks(url: string, record: unknown): PendingAcksRecord | 'unreadable' | undefined {
  if (record === undefined || record === null) return undefined;
  const parsed = z.union([shape.transform((one) => [one]), z.array(shape)]).safeParse(record);
  return parsed.success ? parsed.data.find((one) => one.url === url) : 'unreadable';
}

type Ids = PendingAcksRecord['channels'][number]['open'][number]['ids'];

export function rangesOfIds(ids: Ids): IdRange[] {
  return ids.map((id) => (typeof id === 'string' ? [BigInt(id), BigInt(id)] : [BigInt(id[0]), BigInt(id[1])]));
}
