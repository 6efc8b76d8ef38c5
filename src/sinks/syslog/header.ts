import { escapeControls } from '../../event/escape.ts';
import type { AuditEvent } from '../../event/event.ts';

/** What stands before the payload of a message. */
export interface HeaderRules {
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
}

export type Header = (event: AuditEvent, shortened: boolean) => string;

/** Actions whose part of a header is kept. */
const kept = 1_000;
/** Longer ones are not: hostile actions must not fill the memory. */
const longestKept = 256;

/** Writes the headers of one sink; what is the same for an action is written once. */
export function headerOf(rules: HeaderRules): Header {
  const write = rules.rfc === 5424 ? header5424(rules) : header3164(rules);
  const byAction = new Map<string, Header>();
  return (event, shortened) => {
    const { action } = event;
    const known = byAction.get(action);
    if (known !== undefined) return known(event, shortened);
    const header = write(action);
    if (byAction.size >= kept) byAction.clear();
    if (action.length <= longestKept) byAction.set(action, header);
    return header(event, shortened);
  };
}

/** RFC 5424 section 6: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA `. */
function header5424(rules: HeaderRules): (action: string) => Header {
  const { tenant, appName, sdId } = rules;
  const timestamps = new Timestamps();
  const names = `${headerField(tenant, 255)} ${headerField(appName, 48)} -`;
  const tail = parameter('tenant', tenant);
  return (action) => {
    const front = `<${priority(rules, action)}>1 `;
    const middle = ` ${names} ${headerField(action, 32)} [${sdId} id="`;
    const afterId = `"${parameter('action', action)}`;
    return (event, shortened) => {
      const user = parameter('user', event.user);
      const source = parameter('src', event.ip);
      const rest = shortened ? `${tail} truncated="true"] ` : `${tail}] `;
      return `${front}${timestamps.of(event.createdAtMs)}${middle}${event.id}${afterId}${user}${source}${rest}`;
    };
  };
}

/** RFC 3164 section 4.1, in UTC: `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG: `. It has no place for structured data. */
function header3164(rules: HeaderRules): (action: string) => Header {
  const host = rules.local ? '' : `${headerField(rules.tenant, 255)} `;
  const tag = rules.tag ? `${rules.appName.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 32)}: ` : '';
  return (action) => {
    const front = `<${priority(rules, action)}>`;
    return (event) => {
      const time = new Date(event.createdAtMs ?? event.receivedAtMs);
      const day = String(time.getUTCDate()).padStart(2, ' ');
      return `${front}${months[time.getUTCMonth()]} ${day} ${time.toISOString().slice(-13, -5)} ${host}${tag}`;
    };
  };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** PRI (RFC 5424 section 6.2.1). */
export const priority = ({ facility, severityOf }: HeaderRules, action: string) => facility * 8 + severityOf(action);

const dayMs = 86_400_000;
const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/** RFC 3339 in UTC with three digits of a second (nine made rsyslog read another time); the day is written once. */
export class Timestamps {
  #day = Number.NaN;
  #date = '';

  /** `-` for what has no RFC 3339 form: an unknown time, years past 9999. */
  of(ms: number | undefined): string {
    if (ms === undefined) return '-';
    const day = Math.floor(ms / dayMs);
    if (day !== this.#day) {
      const text = new Date(ms).toISOString();
      this.#day = day;
      this.#date = text.length === 24 ? text.slice(0, 11) : '';
    }
    if (this.#date === '') return '-';
    const rest = ms - day * dayMs;
    const minutes = Math.floor(rest / 60_000);
    const seconds = Math.floor(rest / 1000) % 60;
    const millis = String(rest % 1000).padStart(3, '0');
    return `${this.#date}${twoDigits[Math.floor(minutes / 60)]}:${twoDigits[minutes % 60]}:${twoDigits[seconds]}.${millis}Z`;
  }
}

/** PRINTUSASCII of at most `limit` characters; a space would shift every later field. */
export const headerField = (text: string, limit: number) =>
  text
    .slice(0, limit)
    .toWellFormed()
    .replace(/[^!-~]/g, '_') || '-';

/** What `parameter` can't take as it is. */
const special = /["\\\]\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/;

/** RFC 5424 section 6.3: exactly `"`, `\` and `]` are escaped. A value that is missing has no parameter. */
export function parameter(name: string, value: string | undefined): string {
  if (value === undefined || value === '') return '';
  const written = special.test(value) ? escapeControls(value).replace(/["\\\]]/g, '\\$&') : value;
  return ` ${name}="${written}"`;
}
