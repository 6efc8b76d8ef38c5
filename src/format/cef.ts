import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import type { Actions } from './actions.ts';
import { createdAtDetail, type Fields, fieldsOf, membersOfMeta, summaryOf } from './fields.ts';
import type { Format, FormatContext } from './format.ts';
import { apiVersion, product, vendor } from './product.ts';
import { numericSeverity } from './severity.ts';
import { shortJson } from './short-json.ts';
import { actsOnAccounts, Subject } from './subject.ts';
import { fitted, trimmed } from './text.ts';

/** CEF Implementation Standard, version 0: key, value, longest value in characters (as escaped). */
type Pair = readonly [key: string, value: string | undefined, limit: number];

const customLimit = 4_000;
const textLimit = 1_023;

/**
 * ArcSight's Common Event Format. `id` is never cut; a value cut to its limit ends in `…`. Custom strings: cs1 the user's
 * display name, cs2 meta, cs3 a source that is not an address, cs4 fields without a CEF key, cs5 `createdAt` if `rt` can't
 * express it exactly; flexString1 marks a time of receipt.
 */
export function cefFormat(context: FormatContext, actions: Actions): Format {
  const head = `CEF:0|${header(vendor, 63)}|${header(product, 63)}|${header(apiVersion, 31)}`;
  return {
    name: 'cef',
    json: false,
    encode(event: AuditEvent): Buffer {
      const fields = fieldsOf(event);
      const meaning = actions.meaningOf(fields.action ?? '');
      const subject = new Subject(event.text, fields, meaning);
      const account = actsOnAccounts(meaning) ? subject.otherAccount() : undefined;
      const pairs: Pair[] = [
        ['act', fields.action, 63],
        ['cat', meaning.category, textLimit],
        ['externalId', fields.id, Number.POSITIVE_INFINITY],
        ['rt', String(fields.timeMs), textLimit],
        ['suid', fields.user?.id, textLimit],
        ['suser', fields.user?.email ?? fields.user?.name, textLimit],
        ['duid', account?.id, textLimit],
        ['duser', account?.email ?? account?.name, textLimit],
        ...source(fields),
        ['requestClientApplication', fields.userAgent, textLimit],
        ['dhost', context.tenant, textLimit],
        ['deviceExternalId', context.tenant, 255],
        ['destinationServiceName', product, textLimit],
        ['outcome', meaning.outcome === 'unknown' ? undefined : meaning.outcome, 63],
        ['reason', subject.reason(), textLimit],
        ['msg', summaryOf(meaning.title, fields, account), textLimit],
        ...custom('cs1', 'userDisplayName', fields.user?.name),
        ...custom('cs5', 'createdAt', createdAtDetail(fields)),
        ...(fields.timeIsReceipt ? custom('flexString1', 'timeSource', 'receipt') : []),
      ];
      const title = header(meaning.title, 512);
      const classId = header(fields.action ?? '', textLimit) || 'unknown';
      const tail = [...pairs.flatMap(written), ...json(event, fields)].join(' ');
      return Buffer.from(`${head}|${classId}|${title}|${numericSeverity[meaning.severity]}|${tail}`);
    },
  };
}

/** `src` is for IPv4 only; IPv6 goes to a custom address, anything else to a custom string. */
function source(fields: Fields): readonly Pair[] {
  if (fields.ipVersion === 4) return [['src', fields.ip, 64]];
  if (fields.ipVersion === 0) return custom('cs3', 'sourceText', fields.ip);
  return [
    ['c6a2', fields.ip, 64],
    ['c6a2Label', 'Source IPv6 Address', textLimit],
  ];
}

/** A custom field is useless without its label. */
function custom(key: string, label: string, value: string | undefined): readonly Pair[] {
  if (value === undefined || trimmed(extension(value)) === '') return [];
  return [
    [key, value, customLimit],
    [`${key}Label`, label, textLimit],
  ];
}

/** The two JSON objects. One that is too long loses members, never the end of its text. */
function json(event: AuditEvent, fields: Fields): string[] {
  const write = (text: string) => extension(onOneLine(text));
  const pair = (key: string, label: string, value: string) => [`${key}=${value}`, `${key}Label=${label}`];
  const result: string[] = [];
  if (fields.meta !== undefined) {
    const whole = write(fields.meta);
    const value = whole.length <= customLimit ? whole : shortJson(membersOfMeta(event, fields), customLimit, write);
    result.push(...pair('cs2', 'meta', value));
  }
  if (fields.rest.length > 0) result.push(...pair('cs4', 'unmapped', shortJson(fields.rest, customLimit, write)));
  return result;
}

function written([key, value, limit]: Pair): string[] {
  if (value === undefined) return [];
  const text = trimmed(fitted(value, limit, extension));
  return text === '' ? [] : [`${key}=${text}`];
}

const inExtension: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': ' ' };

/** A backslash before what must be escaped, the backslash of a visible control character included. */
const extension = (text: string) =>
  text.replace(/[\\=\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) => inExtension[c] ?? `\\${onOneLine(c)}`);

const lineBreak = /[\t\n\r]/;
const header = (text: string, limit: number) =>
  trimmed(
    fitted(text, limit, (part) =>
      part.replace(/[\\|\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) =>
        lineBreak.test(c) ? ' ' : `\\${onOneLine(c)}`,
      ),
    ),
  );
