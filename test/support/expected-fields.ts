import { isIP } from 'node:net';
import { receivedAtMs } from './audit-events.ts';
import { type Hostile, readableTimes } from './hostile-events.ts';

/** The fields of an event, derived from its raw members alone, to compare with a record. */
export interface ExpectedFields {
  readonly id: string;
  readonly action: string | undefined;
  readonly ip: string | undefined;
  readonly version: number;
  readonly userAgent: string | undefined;
  readonly createdAt: string | undefined;
  readonly ms: number;
  readonly readable: boolean;
  readonly user: { id: string | undefined; name: string | undefined; email: string | undefined };
  readonly hasUser: boolean;
  /** `meta` on one line. */
  readonly meta: string | undefined;
  /** Members without a dedicated field: raw values on one line by key. */
  readonly unmapped: ReadonlyMap<string, string>;
}

const textOf = (raw: string | undefined): string | undefined =>
  raw?.startsWith('"') && raw !== '""' ? (JSON.parse(raw) as string) : undefined;
const isMissing = (raw: string | undefined) => raw === undefined || raw === 'null' || raw === '""';

/** JSON text as a record holds it: the same value without a control character. */
const oneLine = (raw: string): string =>
  raw
    .replace(/[\t\r\n]/g, ' ')
    .replace(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Text with its control characters as escapes. */
export const withControlsEscaped = (text: string): string =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export function expectedFields({ event, raw, rawUser }: Hostile): ExpectedFields {
  const unmapped = new Map<string, string>();
  const text = (name: string) => {
    const value = raw.get(name);
    if (value !== undefined && !isMissing(value) && !value.startsWith('"')) unmapped.set(name, oneLine(value));
    return textOf(value);
  };
  const parts = { action: text('action'), createdAt: text('createdAt'), ip: text('ip'), userAgent: text('userAgent') };
  const user = expectedUser(raw.get('user'), rawUser, unmapped);
  for (const [name, value] of raw) {
    if (!['id', 'user', 'action', 'ip', 'userAgent', 'createdAt', 'meta'].includes(name))
      unmapped.set(name, oneLine(value));
  }
  const ms = readableTimes.get(parts.createdAt ?? '');
  const meta = raw.get('meta') ?? 'null';
  if (meta !== 'null' && !meta.startsWith('{')) unmapped.set('meta', oneLine(meta));
  return {
    id: String(event.id),
    ...parts,
    version: parts.ip === undefined || parts.ip.includes('%') ? 0 : isIP(parts.ip),
    ms: ms ?? receivedAtMs,
    readable: ms !== undefined,
    user,
    hasUser: Object.values(user).some((value) => value !== undefined),
    meta: meta.startsWith('{') ? oneLine(meta) : undefined,
    unmapped,
  };
}

function expectedUser(raw: string | undefined, members: ReadonlyMap<string, string>, unmapped: Map<string, string>) {
  const none = { id: undefined, name: undefined, email: undefined };
  if (raw === undefined || raw === 'null') return none;
  if (!raw.startsWith('{')) {
    unmapped.set('user', oneLine(raw));
    return none;
  }
  const rawId = members.get('id');
  const hasNumber = rawId !== undefined && /^[-\d]/.test(rawId);
  const others = [...members].filter(([name, value]) => {
    if (name === 'id') return !isMissing(value) && !hasNumber && !value.startsWith('"');
    if (name === 'name' || name === 'email') return !isMissing(value) && !value.startsWith('"');
    return true;
  });
  if (others.length > 0)
    unmapped.set('user', `{${others.map(([name, value]) => `${JSON.stringify(name)}:${oneLine(value)}`).join(',')}}`);
  return {
    id: hasNumber ? rawId : textOf(rawId),
    name: textOf(members.get('name')),
    email: textOf(members.get('email')),
  };
}
