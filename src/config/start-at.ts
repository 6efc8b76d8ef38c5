import * as z from 'zod';
import type { StartAt } from '../event/start-at.ts';

const MAX_ID = 2n ** 63n - 1n;
const instant = z.iso.datetime({ offset: true });
const day = z.iso.date();

/** The meaning of `startAt`, or undefined. A day means midnight UTC; a time of day requires its zone. */
export function parseStartAt(text: string): StartAt | undefined {
  if (text === 'beginning' || text === 'now') return { kind: text };
  if (/^\d{1,19}$/.test(text)) {
    const id = BigInt(text);
    return id > MAX_ID ? undefined : { kind: 'id', id };
  }
  if (!instant.safeParse(text).success && !day.safeParse(text).success) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : { kind: 'time', timeMs };
}

const form = 'write beginning, now, an event id, or an ISO timestamp such as 2026-01-31T00:00:00Z';

/** `beginning`, `now`, an event id or an ISO timestamp. Ids beyond 2^53 must be text. */
export const startAt = z.union([z.int().min(0), z.string()], form).transform((value, context) => {
  const parsed = parseStartAt(String(value));
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: form });
  return z.NEVER;
});
