import type { AuditEvent } from '../../src/event/event.ts';
import { eventFromText } from './syslog.ts';

/** Pseudo-random numbers, 0 ≤ x < 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Text that ends frames, moves cursors, reverses text, breaks quoting, or looks like another record. */
const pieces = [
  '\n<13>1 2026-01-01T00:00:00Z evil root - - - forged', '\r\n', '\0', '\u001b[2J', '\t', '\u007f', '\u0085', '\u009b1m',
  '\u2028', '\u2029', '\ufeff', '\u202eevil', '\u200f', 'שלום', '🦊', '👩‍👩‍👧', '\ud800', '\udfff', 'é', 'e\u0301', '"', '\\', ']',
  '\\"', '[x y="z"]', '17 <0>1 - - - - - - x', '<0>', '0 ', '5 rsp 0\n', '1 syslog 3 abc\n', '|', '=', '^', ' ', '%s', '${x}',
  '__proto__', 'plain', 'user.login', 'a@example.com', '192.0.2.1', '2001:db8::1', '{"a":1}', '\\u000a', '\\n',
]; // biome-ignore format: a table

/** A hostile event, made of `random`; the text is what an API could have sent. */
export function hostileEvent(id: number, random: () => number): AuditEvent {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const text = () => {
    let out = '';
    for (let count = Math.floor(random() * 6); count > 0; count--) out += pick(pieces);
    return random() < 0.004 ? out + pick(pieces).repeat(Math.floor(random() * 3_000)) : out;
  };
  const value = (depth: number): unknown => {
    const kind = random();
    if (depth > 3 || kind < 0.6) return text();
    if (kind < 0.7) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth + 1));
    if (kind < 0.9) return Object.fromEntries([1, 2].map((n) => [text() + n, value(depth + 1)]));
    return pick([true, false, null, 0, -1.5, 1e21]);
  };
  const event = {
    user:
      random() < 0.2 ? null : { id: pick([7, text()]), name: text(), email: random() < 0.5 ? text() : 'a@example.com' },
    action: random() < 0.5 ? 'user.login' : text(),
    ip: random() < 0.5 ? '192.0.2.7' : text(),
    userAgent: text(),
    createdAt: random() < 0.8 ? '2026-11-23T10:20:30.456Z' : text(),
    ...(random() < 0.8 && { meta: value(0) }),
  };
  // Digits that a number in JavaScript would not keep.
  const source = JSON.stringify(event).replace('{', `{"id":${id},"digits":[12345678901234567890,1.0,1e3,-0],`);
  return eventFromText(BigInt(id), source);
}
