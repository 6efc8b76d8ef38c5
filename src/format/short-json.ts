import type { Raw } from './fields.ts';
import { fitted } from './text.ts';

/** Members up to this length stay whole as long as there is room. */
const small = 64;
const truncated = '"truncated":true';

/**
 * The JSON text of an object with these members, in at most `limit` characters as written by `write`, the format's escapes
 * included. If it does not fit, the longest strings are shortened first (with `…` at the end), then the longest other
 * values are left out; `"truncated":true` is added.
 */
export function shortJson(members: readonly Raw[], limit: number, write: (json: string) => string): string {
  const written = members.map(({ key, value }) => ({ key: write(key), value: write(value) }));
  const whole = `{${written.map(({ key, value }) => `${key}:${value}`).join(',')}}`;
  if (whole.length <= limit) return whole;
  const size = (at: number) => (written[at]?.key.length ?? 0) + (written[at]?.value.length ?? 0) + 2;
  const order = members.map((_, at) => at).sort((a, b) => size(a) - size(b));
  const shown = new Map<number, string>();
  let room = limit - truncated.length - 2;
  for (const [done, at] of order.entries()) {
    const [member, text] = [members[at], written[at]];
    if (member === undefined || text === undefined || member.name === 'truncated') continue;
    const share = Math.floor(room / (order.length - done));
    const fits = size(at) <= share || (size(at) <= small && size(at) <= room);
    const value = fits ? text.value : shortString(member.value, share - text.key.length - 2, write);
    if (value === undefined) continue;
    shown.set(at, `${text.key}:${value}`);
    room -= text.key.length + value.length + 2;
  }
  const included = [...shown].sort(([a], [b]) => a - b).map(([, text]) => text);
  return `{${[...included, truncated].join(',')}}`;
}

/** A JSON string cut to `limit` characters as written; undefined if it is not a string, or if too little would remain. */
function shortString(json: string, limit: number, write: (json: string) => string): string | undefined {
  if (!json.startsWith('"') || limit < small / 2) return undefined;
  const content = JSON.parse(json) as string;
  return `"${fitted(content, limit - 2, (text) => write(JSON.stringify(text).slice(1, -1)))}"`;
}
