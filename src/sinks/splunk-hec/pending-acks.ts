import { createHmac, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Cursor } from '../../event/event.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Ranges } from './ack-circuit-breaker.ts';
import type { Channel } from './channel.ts';

const digits = z.string().regex(/^-?\d{1,40}$/);

const shape = z.object({
  version: z.literal(1),
  url: z.string(),
  /** HMAC-SHA-256 of the token under `salt`: tells whether it is still the same token, and nothing else. */
  salt: z.string().regex(/^[0-9a-f]{32}$/),
  token: z.string().regex(/^[0-9a-f]{64}$/),
  channels: z.array(
    z.object({
      id: z.guid(),
      cookies: z.array(z.tuple([z.string(), z.string()])),
      open: z.array(
        z.object({
          ackId: z.int().min(0),
          sentAt: z.int(),
          /** Single ids and pairs over ids without a hole. */
          ids: z.array(z.union([digits, z.tuple([digits, digits])])).min(1),
        }),
      ),
    }),
  ),
});

/** Open acknowledgements as they stand in the checkpoint. */
export type PendingAcksRecord = z.infer<typeof shape>;

/** Whose acknowledgements they are. */
export interface Owner {
  readonly url: string;
  readonly token: Secret;
}

/** A key for the mark of the token. */
export const newSalt = (): string => randomBytes(16).toString('hex');

/** Writes down what is open. */
export function writePendingAcks(owner: Owner, salt: string, channels: Iterable<Channel>): PendingAcksRecord {
  return {
    version: 1,
    url: owner.url,
    salt,
    token: mark(owner.token, salt),
    channels: Array.from(channels, ({ id, cookies, open }) => ({
      id,
      cookies: cookies.toJSON(),
      open: Array.from(open.values(), ({ ackId, sentAtMs, ranges }) => ({
        ackId,
        sentAt: sentAtMs,
        ids: compact(ranges),
      })),
    })),
  };
}

/**
 * What an earlier process wrote down, where it holds for this owner; `undefined` where it is none of ours, `unreadable`
 * where it is not what `writeJournal` writes: its batches are then sent again.
 */
export function readPendingAcks(owner: Owner, journal: unknown): PendingAcksRecord | 'unreadable' | undefined {
  if (journal === undefined || journal === null) return undefined;
  const parsed = shape.safeParse(journal);
  if (!parsed.success) return 'unreadable';
  const { url, token, salt } = parsed.data;
  return url === owner.url && token === mark(owner.token, salt) ? parsed.data : undefined;
}

function mark(token: Secret, salt: string): string {
  return createHmac('sha256', Buffer.from(salt, 'hex')).update(token.reveal()).digest('hex');
}

type Ids = PendingAcksRecord['channels'][number]['open'][number]['ids'];

function compact(ranges: Ranges): Ids {
  return ranges.map(([from, to]) => (from === to ? String(from) : [String(from), String(to)]));
}

/** Ids as they stand in a journal, as ranges. */
export function expand(ids: Ids): Ranges {
  return ids.map((id): [Cursor, Cursor] =>
    typeof id === 'string' ? [BigInt(id), BigInt(id)] : [BigInt(id[0]), BigInt(id[1])],
  );
}
