import { escapeControls } from '../../event/escape.ts';
import type { AuditEvent } from '../../event/event.ts';

export interface HeaderOptions {
  readonly rfc: 5424 | 3164;
  /** RFC 3164 on a local socket has no HOSTNAME, as libc writes it. */
  readonly local: boolean;
  /** 0 to 23. */
  readonly facility: number;
  /** 0 to 7. */
  readonly severityOf: (action: string) => number;
  readonly appName: string;
  readonly sdId: string;
  /** Whether RFC 3164 has a TAG: CEF and LEEF follow the HOSTNAME directly, as their specifications show. */
  readonly tag: boolean;
  readonly tenant: string;
}

/** Everything before the payload of an event's message. `shortened`: the header says that the event was shortened. */
export type Header = (event: AuditEvent, shortened: boolean) => string;

/** The part of a header that depends on the action alone is cached, for so many actions of at most so many characters. */
const maxCachedActions = 1_000;
const maxCachedLength = 256;

export function createHeader(options: HeaderOptions): Header {
  const write = options.rfc === 5424 ? header5424(options) : header3164(options);
  const byAction = new Map<string, Header>();
  return (event, shortened) => {
    const { action } = event;
    const cached = byAction.get(action);
    if (cached !== undefined) return cached(event, shortened);
    const header = write(action);
    if (byAction.size >= maxCachedActions) byAction.clear();
    if (action.length <= maxCachedLength) byAction.set(action, header);
    return header(event, shortened);
  };
}

/** RFC 5424 section 6: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA `. */
function header5424(options: HeaderOptions): (action: string) => Header {
  const { tenant, appName, sdId } = options;
  const names = `${headerField(tenant, 255)} ${headerField(appName, 48)} -`;
  const tail = parameter('tenant', tenant);
  return (action) => {
    const front = `<${priority(options, action)}>1 `;
    const middle = ` ${names} ${headerField(action, 32)} [${sdId} id="`;
    const afterId = `"${parameter('action', action)}`;
    return (event, shortened) => {
      const user = parameter('user', event.user);
      const source = parameter('src', event.ip);
      const rest = shortened ? `${tail} truncated="true"] ` : `${tail}] `;
      return `${front}${timestamp(event.createdAtMs)}${middle}${event.id}${afterId}${user}${source}${rest}`;
    };
  };
}

/** RFC 3164 section 4.1, in UTC: `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG: `. Without structured data. */
function header3164(options: HeaderOptions): (action: string) => Header {
  const host = options.local ? '' : `${headerField(options.tenant, 255)} `;
  const tag = options.tag ? `${options.appName.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 32)}: ` : '';
  return (action) => {
    const front = `<${priority(options, action)}>`;
    return (event) => {
      const time = new Date(event.createdAtMs ?? event.receivedAtMs);
      const day = String(time.getUTCDate()).padStart(2, ' ');
      return `${front}${months[time.getUTCMonth()]} ${day} ${time.toISOString().slice(-13, -5)} ${host}${tag}`;
    };
  };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** PRI (RFC 5424 section 6.2.1). */
const priority = ({ facility, severityOf }: HeaderOptions, action: string) => facility * 8 + severityOf(action);

/**
 * RFC 3339 in UTC with milliseconds (rsyslog reads nine digits as another time); `-` for what RFC 3339 can't express: an
 * unknown time, years past 9999.
 */
export function timestamp(ms: number | undefined): string {
  const text = ms === undefined ? '' : new Date(ms).toISOString();
  return text.length === 24 ? text : '-';
}

/** PRINTUSASCII of at most `limit` characters; a space would shift every later field. */
export const headerField = (text: string, limit: number) =>
  text
    .slice(0, limit)
    .toWellFormed()
    .replace(/[^!-~]/g, '_') || '-';

/** What a parameter's value can't hold as it is. */
const special = /["\\\]\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/;

/** RFC 5424 section 6.3: exactly `"`, `\` and `]` are escaped. A missing or empty value has no parameter. */
export function parameter(name: string, value: string | undefined): string {
  if (value === undefined || value === '') return '';
  const written = special.test(value) ? escapeControls(value).replace(/["\\\]]/g, '\\$&') : value;
  return ` ${name}="${written}"`;
}
