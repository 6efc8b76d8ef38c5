/** Longest wait that another host may ask of us, milliseconds. */
export const longestWishMs = 5 * 60_000;

/** Milliseconds of a Retry-After header (RFC 9110 section 10.2.3): seconds or a date; undefined where unusable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (Number.isNaN(ms)) return undefined;
  return Math.min(Math.max(ms, 0), longestWishMs);
}
