import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import type { Actions } from './actions.ts';
import { createdAtDetail, type Fields, fieldsOf, objectOf, summaryOf, type User } from './fields.ts';
import type { Format, FormatContext } from './format.ts';
import { agentName, product, vendor } from './product.ts';
import { numericSeverity } from './severity.ts';
import { actsOnAccounts, Subject } from './subject.ts';

/**
 * Elastic Common Schema 9.4.0. What has no field there goes under `qasphere.audit`: `meta` and unknown fields in their
 * own text, so that no digit is lost and hostile keys are only text to us. A time of receipt is marked by a tag.
 */
export function ecsFormat(context: FormatContext, actions: Actions): Format {
  const constant = {
    ecs: { version: '9.4.0' },
    organization: { id: context.tenant },
    observer: { vendor, product },
    agent: { type: agentName, version: context.version },
  };
  return {
    name: 'ecs',
    json: true,
    encode(event: AuditEvent): Buffer {
      const fields = fieldsOf(event);
      const meaning = actions.meaningOf(fields.action ?? '');
      const subject = new Subject(event.text, fields, meaning);
      const account = actsOnAccounts(meaning) ? subject.otherAccount() : undefined;
      const record = {
        '@timestamp': new Date(fields.timeMs).toISOString(),
        message: summaryOf(meaning.title, fields, account),
        ...(fields.timeIsReceipt ? { tags: ['time_of_receipt'] } : {}),
        ...constant,
        event: {
          kind: 'event',
          category: meaning.ecs.category,
          type: meaning.ecs.type,
          action: fields.action,
          outcome: meaning.outcome,
          severity: numericSeverity[meaning.severity],
          id: fields.id,
          module: 'qasphere',
          dataset: 'qasphere.audit',
          provider: 'qasphere',
          created: new Date(fields.receivedAtMs).toISOString(),
          reason: subject.reason(),
        },
        user: userOf(fields.user, account),
        source: fields.ip === undefined ? undefined : { address: fields.ip, ip: validIp(fields) },
        user_agent: fields.userAgent === undefined ? undefined : { original: fields.userAgent },
        related: related(fields, account),
        qasphere: {
          audit: { category: meaning.category, activity: meaning.activity, created_at: createdAtDetail(fields) },
        },
      };
      return Buffer.from(onOneLine(JSON.stringify(record).slice(0, -'}}}'.length)) + own(fields));
    },
  };
}

/** The end of the record: members of `qasphere.audit` in their own text. */
function own(fields: Fields): string {
  const meta = fields.meta === undefined ? '' : `,"meta":${fields.meta}`;
  const rest = fields.rest.length === 0 ? '' : `,"unmapped":${objectOf(fields.rest)}`;
  return `${meta}${rest}}}}`;
}

/** An address that Elasticsearch accepts: it rejects a whole document because of one that it does not. */
const validIp = (fields: Fields) => (fields.ipVersion === 0 ? undefined : fields.ip);

const nameOf = (user: User) => user.email ?? user.name;

function userOf(user: User | undefined, target: User | undefined) {
  const parts = (who: User) => ({ id: who.id, name: nameOf(who), full_name: who.name, email: who.email });
  if (user === undefined && target === undefined) return undefined;
  return {
    ...(user === undefined ? {} : parts(user)),
    ...(target === undefined ? {} : { target: parts(target) }),
  };
}

function related(fields: Fields, target: User | undefined) {
  const users = [fields.user, target].flatMap((who) => (who === undefined ? [] : [who.id, who.email, who.name]));
  const user = [...new Set(users.filter((name) => name !== undefined))];
  const ip = validIp(fields);
  if (user.length === 0 && ip === undefined) return undefined;
  return { ip: ip === undefined ? undefined : [ip], user: user.length === 0 ? undefined : user };
}
