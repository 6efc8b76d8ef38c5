import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import type { Actions } from './actions.ts';
import { createdAtDetail, type Fields, fieldsOf, objectOf } from './fields.ts';
import type { Format, FormatContext } from './format.ts';
import { apiVersion, product, vendor } from './product.ts';
import { numericSeverity } from './severity.ts';
import { actsOnAccounts, Subject } from './subject.ts';
import { fitted, trimmed } from './text.ts';

/** Not LEEF's default, TAB: rsyslog rewrites it to `#011`. */
const delimiter = '^';

type Pair = readonly [key: string, value: string | undefined];

/**
 * IBM's Log Event Extended Format 2.0, delimiter `^`. LEEF has no escapes: in values `^` becomes `_` (in JSON values its
 * JSON escape, which keeps the value), in the header `|` becomes `_`. Each key occurs once.
 */
export function leefFormat(context: FormatContext, actions: Actions): Format {
  const head = `LEEF:2.0|${vendor}|${product}|${apiVersion}`;
  return {
    name: 'leef',
    json: false,
    encode(event: AuditEvent): Buffer {
      const fields = fieldsOf(event);
      const meaning = actions.meaningOf(fields.action ?? '');
      const subject = new Subject(event.text, fields, meaning);
      const account = actsOnAccounts(meaning) ? subject.otherAccount() : undefined;
      const eventId = trimmed(fitted(fields.action ?? '', 255, inHeader)) || 'unknown';
      const user = fields.user?.email ?? fields.user?.name;
      const pairs: readonly Pair[] = [
        ['cat', meaning.category],
        ...time(fields.timeMs),
        ['sev', String(numericSeverity[meaning.severity])],
        ['src', fields.ipVersion === 0 ? undefined : fields.ip],
        ['srcText', fields.ipVersion === 0 ? fields.ip : undefined],
        ['usrName', user === undefined ? undefined : fitted(user, 255, inValue)],
        ['resource', context.tenant],
        ['eventId', fields.id],
        ['tenant', context.tenant],
        ['action', eventId === fields.action ? undefined : fields.action],
        ['activity', meaning.activity],
        ['outcome', meaning.outcome === 'unknown' ? undefined : meaning.outcome],
        ['reason', subject.reason()],
        ['userId', fields.user?.id],
        ['userDisplayName', fields.user?.name],
        ['targetUserId', account?.id],
        ['targetUserName', account?.email ?? account?.name],
        ['userAgent', fields.userAgent],
        ['createdAt', createdAtDetail(fields)],
        ['timeSource', fields.timeIsReceipt ? 'receipt' : undefined],
      ];
      const written = pairs.flatMap(([key, value]) => {
        const text = value === undefined ? '' : trimmed(inValue(value));
        return text === '' ? [] : [`${key}=${text}`];
      });
      return Buffer.from(`${head}|${eventId}|${delimiter}|${[...written, ...json(fields)].join(delimiter)}`);
    },
  };
}

/** QRadar reads 13 digits as milliseconds and 10 as seconds; a time with another number of digits is written as text. */
function time(timeMs: number): readonly Pair[] {
  if (timeMs >= 1e12 && timeMs < 1e13) return [['devTime', String(timeMs)]];
  const [, , day = '', month = '', year = '', clock = ''] =
    /^(\w+), (\d\d) (\w+) (\d+) ([\d:]+)/.exec(new Date(timeMs).toUTCString()) ?? [];
  const fraction = String(timeMs % 1_000).padStart(3, '0');
  return [
    ['devTime', `${month} ${day} ${year} ${clock}.${fraction} UTC`],
    ['devTimeFormat', 'MMM dd yyyy HH:mm:ss.SSS z'],
  ];
}

/** In JSON `^` occurs only in strings, where it can be escaped. */
function json(fields: Fields): string[] {
  const write = (key: string, text: string) => `${key}=${text.replaceAll(delimiter, '\\u005e')}`;
  return [
    ...(fields.meta === undefined ? [] : [write('meta', fields.meta)]),
    ...(fields.rest.length === 0 ? [] : [write('unmapped', objectOf(fields.rest))]),
  ];
}

const inValue = (text: string) => onOneLine(text).replaceAll(delimiter, '_');
const inHeader = (text: string) => onOneLine(text).replaceAll('|', '_');
