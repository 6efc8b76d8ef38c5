import { type AuditEvent, actionOf, createdAtMs } from '../../core/event.ts';
import { type Note, noteText } from '../../core/note.ts';
import { escapePayload, escapeText } from './escape.ts';

/** How a sink writes its messages. */
export interface MessageRules {
  readonly rfc: 5424 | 3164;
  /** A local socket's 3164 is libc's: without HOSTNAME. */
  readonly local: boolean;
  /** 0 to 23. */
  readonly facility: number;
  /** 0 to 7. */
  readonly severityOf: (action: string) => number;
  readonly appName: string;
  readonly sdId: string;
  /** Whether RFC 3164 has its TAG: CEF and LEEF follow the HOSTNAME directly, as their own specifications show. */
  readonly tag: boolean;
  readonly tenant: string;
  /** Whether the payload is JSON. */
  readonly json: boolean;
}

/**
 * One whole syslog message, without a frame: header made of `event`, payload `record`. No control character, DEL, C1,
 * U+2028 or U+2029 stands in it.
 */
export function syslogMessage(rules: MessageRules, event: AuditEvent, record: Buffer, shortened = false): Buffer {
  const header = rules.rfc === 5424 ? header5424(rules, event, shortened) : header3164(rules, event);
  return Buffer.concat([Buffer.from(header, 'utf8'), escapePayload(record, rules.json)]);
}

/** A record of the forwarder's own: MSGID names it, the payload is JSON. */
export function noteMessage(rules: MessageRules, note: Note): Buffer {
  const priority = rules.facility * 8 + (isGrave(note) ? 4 : 6);
  const event = { value: { createdAt: new Date(note.atMs).toISOString() }, receivedAtMs: note.atMs };
  const header =
    rules.rfc === 5424
      ? `<${priority}>1 ${timestamp(note.atMs)} ${headerField(rules.tenant, 255)} ${headerField(rules.appName, 48)} - ${note.event} [${rules.sdId} tenant="${escapeText(rules.tenant).replace(/["\\\]]/g, '\\$&')}"] `
      : header3164({ ...rules, severityOf: () => priority % 8 }, { ...event, id: 0n, text: Buffer.alloc(0) });
  return Buffer.concat([Buffer.from(header, 'utf8'), escapePayload(Buffer.from(noteText(note)), true)]);
}

const isGrave = ({ event }: Note) => event === 'forwarder.set_aside' || event === 'forwarder.interrupted';

/** RFC 5424 section 6: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA `. */
function header5424(rules: MessageRules, event: AuditEvent, shortened: boolean): string {
  const action = actionOf(event);
  const fields = [
    `<${priority(rules, action)}>1`,
    timestamp(createdAtMs(event)),
    headerField(rules.tenant, 255),
    headerField(rules.appName, 48),
    '-',
    headerField(action, 32),
    structuredData(rules, event, action, shortened),
  ];
  return `${fields.join(' ')} `;
}

/** RFC 3164 section 4.1, in UTC: `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG: `. It has no place for structured data. */
function header3164(rules: MessageRules, event: AuditEvent): string {
  const time = new Date(createdAtMs(event) ?? event.receivedAtMs);
  const day = String(time.getUTCDate()).padStart(2, ' ');
  const stamp = `${months[time.getUTCMonth()]} ${day} ${time.toISOString().slice(-13, -5)}`;
  const host = rules.local ? '' : `${headerField(rules.tenant, 255)} `;
  const tag = rules.tag ? `${rules.appName.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 32)}: ` : '';
  return `<${priority(rules, actionOf(event))}>${stamp} ${host}${tag}`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const priority = (rules: MessageRules, action: string) => rules.facility * 8 + rules.severityOf(action);

/** Three digits of a second: nine made rsyslog read another time. Years past 9999 have no RFC 3339 form. */
function timestamp(ms: number | undefined): string {
  const text = ms === undefined ? '' : new Date(ms).toISOString();
  return text.length === 24 ? text : '-';
}

/** PRINTUSASCII of at most `limit` characters; a space would shift every later field. */
const headerField = (text: string, limit: number) =>
  text
    .slice(0, limit)
    .toWellFormed()
    .replace(/[^!-~]/g, '_') || '-';

/** RFC 5424 section 6.3: exactly `"`, `\` and `]` are escaped. A value that is missing has no parameter. */
function structuredData(rules: MessageRules, event: AuditEvent, action: string, shortened: boolean): string {
  const parameters: (readonly [string, string | undefined])[] = [
    ['id', String(event.id)],
    ['action', action],
    ['user', userOf(event)],
    ['src', textOf(event.value['ip'])],
    ['tenant', rules.tenant],
    ['truncated', shortened ? 'true' : undefined],
  ];
  const written = parameters.map(([name, value]) =>
    value === undefined || value === '' ? '' : ` ${name}="${escapeText(value).replace(/["\\\]]/g, '\\$&')}"`,
  );
  return `[${rules.sdId}${written.join('')}]`;
}

/** What tells the user best: the address, else the name, else the id. */
function userOf(event: AuditEvent): string | undefined {
  const user = event.value['user'];
  if (typeof user !== 'object' || user === null) return textOf(user);
  const { email, name, id } = user as Readonly<Record<string, unknown>>;
  return textOf(email) ?? textOf(name) ?? textOf(id);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}
