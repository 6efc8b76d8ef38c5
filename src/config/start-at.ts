import * as z from 'zod';
import type { Cursor } from '../event/event.ts';

/** Where a sink without a checkpoint starts; `timeMs` is milliseconds since the epoch. */
export type StartAt =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  | { readonly kind: 'id'; readonly id: Cursor }
  | { readonly kind: 'time'; readonly timeMs: number };

const largestId = 2n ** 63n - 1n;
const instant = z.iso.datetime({ offset: true });
const day = z.iso.date();

/** The meaning of `startAt`, or undefined. A day is its midnight in UTC; a time of day needs its zone. */
export function parseStartAt(text: string): StartAt | undefined {
  if (text === 'beginning' || text === 'now') return { kind: text };
  if (/^\d{1,19}$/.test(text)) {
    const id = BigInt(text);
    return id > largestId ? undefined : { kind: 'id', id };
  }
  if (!instant.safeParse(text).success && !day.safeParse(text).success) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : { kind: 'time', timeMs };
}

const form = 'write beginning, now, an event id, or an ISO timestamp such as 2026-01-31T00:00:00Z';

/** `beginning`, `now`, an event id or an ISO timestamp. Ids beyond 2^53 must come as text. */
export const startAt = z.union([z.int().min(0), z.string()], form).transform((value, context) => {
  const parsed = parseStartAt(String(value));
  if (parsed !== undefined) return parsed;
  context.addIssue({
    code: 'custom',
    message: form,
  });
  return z.NEVER;
});
