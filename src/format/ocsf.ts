import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import type { Actions, Meaning } from './actions.ts';
import { type Fields, fieldsOf, type Raw, summaryOf, type User } from './fields.ts';
import type { Format, FormatContext } from './format.ts';
import { agentName, apiVersion, product, vendor } from './product.ts';
import { ocsfSeverity } from './severity.ts';
import { actsOnAccounts, Subject } from './subject.ts';
import { type OcsfClass, ocsfClasses } from './vocabulary.ts';

/** A class, and the attributes that only this class has. */
interface ClassMapping {
  readonly class: OcsfClass;
  readonly activity: number;
  readonly own: object;
}

const statusIds = { success: 1, failure: 2 } as const;
const other = 99;
/** Activity of `authentication`. The user who signs in is the actor; one whose session ends, or who is impersonated, may be another. */
const logon = 1;
/** For attributes that the schema requires and the event does not have. */
const nameless = 'unknown';

/**
 * OCSF 1.8.0 without profiles. If a class requires something that the event does not name (the changed account, the group,
 * the privileges), the event is mapped to API Activity instead, which requires only what every event has. `meta` and
 * unknown fields are copied as text to `unmapped`. A label in `metadata` marks a time of receipt.
 */
export function ocsfFormat(context: FormatContext, actions: Actions): Format {
  return {
    name: 'ocsf',
    json: true,
    encode(event: AuditEvent): Buffer {
      const fields = fieldsOf(event);
      const meaning = actions.meaningOf(fields.action ?? '');
      const subject = new Subject(event.text, fields, meaning);
      const mapping = mappingOf(meaning, fields, subject, context.tenant);
      const account = actsOnAccounts(meaning) ? subject.otherAccount() : undefined;
      const { uid, category, activities } = ocsfClasses[mapping.class];
      const names: Readonly<Record<number, string>> = activities;
      const record = {
        class_uid: uid,
        category_uid: category,
        activity_id: mapping.activity,
        activity_name: mapping.activity === other ? (fields.action ?? nameless) : names[mapping.activity],
        type_uid: uid * 100 + mapping.activity,
        time: fields.timeMs,
        severity_id: ocsfSeverity[meaning.severity],
        ...status(meaning, subject),
        message: summaryOf(meaning.title, fields, account),
        metadata: {
          version: '1.8.0',
          product: { name: product, vendor_name: vendor, version: apiVersion },
          uid: fields.id,
          event_code: fields.action,
          original_time: fields.createdAt,
          logged_time: fields.receivedAtMs,
          log_name: 'audit',
          log_provider: agentName,
          tenant_uid: context.tenant,
          labels: fields.timeIsReceipt ? ['time_of_receipt'] : undefined,
        },
        actor: fields.user === undefined ? { app_name: product } : { user: userOf(fields.user) },
        src_endpoint: source(fields, context.tenant),
        http_request: fields.userAgent === undefined ? undefined : { user_agent: fields.userAgent },
        ...mapping.own,
      };
      return Buffer.from(onOneLine(JSON.stringify(record).slice(0, -1)) + unmapped(fields));
    },
  };
}

function mappingOf(meaning: Meaning, fields: Fields, subject: Subject, tenant: string): ClassMapping {
  const mapping = { class: meaning.ocsf.class, activity: meaning.ocsf.activity };
  switch (mapping.class) {
    case 'authentication': {
      const [own, named] = [fields.user, subject.otherAccount()];
      const user = mapping.activity === logon ? (own ?? named) : (named ?? own);
      const service = { name: product };
      if (user !== undefined)
        return { ...mapping, own: { user: userOf(user), service, dst_endpoint: { hostname: tenant } } };
      break;
    }
    case 'account_change': {
      const user = subject.account();
      if (user !== undefined) return { ...mapping, own: { user: userOf(user) } };
      break;
    }
    case 'user_access': {
      const [user, privileges] = [subject.account(), subject.privileges()];
      if (user !== undefined && privileges.length > 0) return { ...mapping, own: { user: userOf(user), privileges } };
      break;
    }
    case 'group_management': {
      const [group, user] = [subject.group(), subject.otherAccount()];
      const own = { group: group && named(group), user: user && userOf(user) };
      if (group !== undefined) return { ...mapping, own };
      break;
    }
    case 'entity_management': {
      const thing = subject.thing();
      if (thing !== undefined) return { ...mapping, own: { entity: { ...named(thing), type: typeOf(meaning) } } };
      break;
    }
    case 'api_activity':
      return { ...mapping, own: api(meaning, fields, subject, tenant) };
  }
  return { class: 'api_activity', activity: apiActivity(meaning), own: api(meaning, fields, subject, tenant) };
}

/** What API Activity requires apart from actor and source. */
function api(meaning: Meaning, fields: Fields, subject: Subject, tenant: string) {
  const thing = subject.thing();
  return {
    api: { operation: fields.action ?? nameless, service: { name: product }, version: apiVersion },
    dst_endpoint: { hostname: tenant },
    resources: thing && [{ ...named(thing), type: typeOf(meaning) }],
  };
}

/** API Activity's number for create, read, update or delete, by the ECS types in the table; else Other. */
function apiActivity({ ecs }: Meaning): number {
  const at = ['creation', 'access', 'change', 'deletion'].findIndex((type) => ecs.type.includes(type));
  return at === -1 ? other : at + 1;
}

const typeOf = (meaning: Meaning) => (meaning.noun.length === 0 ? undefined : meaning.noun.join(' '));
const named = ({ id, name }: { id: string | undefined; name: string | undefined }) => ({ uid: id, name });

/** `email_t` of the schema. */
const email = /^[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$/;

/** An address that the schema rejects is written to `name` only. */
function userOf(user: User) {
  const { id: uid, email: address, name } = user;
  const isAddress = address !== undefined && email.test(address);
  return { uid, name: address ?? name, full_name: name, email_addr: isAddress ? address : undefined };
}

/** The schema's `ip_t` has at most 40 characters. */
function source(fields: Fields, tenant: string) {
  if (fields.ip === undefined) return fields.user === undefined ? { hostname: tenant } : { name: nameless };
  return fields.ipVersion !== 0 && fields.ip.length <= 40 ? { ip: fields.ip } : { name: fields.ip };
}

function status(meaning: Meaning, subject: Subject) {
  if (meaning.outcome === 'unknown') return {};
  const id = statusIds[meaning.outcome];
  return { status_id: id, status: id === 1 ? 'Success' : 'Failure', status_detail: subject.reason() };
}

/** The end of the record: `meta` and unknown fields as they were sent. */
function unmapped(fields: Fields): string {
  const rest: readonly Raw[] = fields.rest;
  const members = [
    ...(fields.meta === undefined ? [] : [`"meta":${fields.meta}`]),
    ...rest.map(({ key, value }) => `${key}:${value}`),
  ];
  return members.length === 0 ? '}' : `,"unmapped":{${members.join(',')}}}`;
}
