import type { Raw } from './fields.ts';
import { fitted } from './text.ts';

/** Members up to this long are kept whole as long as there is room. */
const small = 64;
const truncated = '"truncated":true';

/**
 * JSON text of an object of these members, its written form no longer than `limit`: where it does not fit, the longest
 * strings are shortened first (`…` at their end), the longest of other values left out, and `"truncated":true` added.
 * `write` is what the format makes of JSON text: its escapes count.
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
  const kept = [...shown].sort(([a], [b]) => a - b).map(([, text]) => text);
  return `{${[...kept, truncated].join(',')}}`;
}

/** A JSON string cut so that it is written in `limit`; undefined for what is no string, or where too little would stay. */
function shortString(json: string, limit: number, write: (json: string) => string): string | undefined {
  if (!json.startsWith('"') || limit < small / 2) return undefined;
  const content = JSON.parse(json) as string;
  return `"${fitted(content, limit - 2, (text) => write(JSON.stringify(text).slice(1, -1)))}"`;
}
