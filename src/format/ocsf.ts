import { onOneLine } from '../event/escape.ts';
import type { AuditEvent } from '../event/event.ts';
import type { Actions, Meaning } from './actions.ts';
import { type Fields, fieldsOf, type Raw, summaryOf, type User } from './fields.ts';
import type { Format, FormatContext } from './format.ts';
import { agentName, apiVersion, product, vendor } from './product.ts';
import { ocsfSeverity } from './severity.ts';
import { actsOnAccounts, Subject } from './subject.ts';
import { type OcsfClass, ocsfClasses } from './vocabulary.ts';

/** A class with the attributes that only it has. */
interface Shape {
  readonly class: OcsfClass;
  readonly activity: number;
  readonly own: object;
}

const statusIds = { success: 1, failure: 2 } as const;
const other = 99;
/** Who signs in is the actor; whose session ends, or who is impersonated, may be another. */
const logon = 1;
/** Stands where the schema needs a word and the event has none. */
const nameless = 'unknown';

/**
 * OCSF 1.8.0 without profiles. A class that needs something the event does not tell (the account changed, the group, the
 * privileges) is not claimed: the event is then API Activity, which needs only what each event has. `meta` and unknown
 * fields stand under `unmapped` in their own text. A time of receipt is marked by a label in `metadata`.
 */
export function ocsfFormat(context: FormatContext, actions: Actions): Format {
  return {
    name: 'ocsf',
    json: true,
    encode(event: AuditEvent): Buffer {
      const fields = fieldsOf(event);
      const meaning = actions.meaningOf(fields.action ?? '');
      const subject = new Subject(event.text, fields, meaning);
      const shape = shapeOf(meaning, fields, subject, context.tenant);
      const account = actsOnAccounts(meaning) ? subject.otherAccount() : undefined;
      const { uid, category, activities } = ocsfClasses[shape.class];
      const names: Readonly<Record<number, string>> = activities;
      const record = {
        class_uid: uid,
        category_uid: category,
        activity_id: shape.activity,
        activity_name: shape.activity === other ? (fields.action ?? nameless) : names[shape.activity],
        type_uid: uid * 100 + shape.activity,
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
        ...shape.own,
      };
      return Buffer.from(onOneLine(JSON.stringify(record).slice(0, -1)) + unmapped(fields));
    },
  };
}

function shapeOf(meaning: Meaning, fields: Fields, subject: Subject, tenant: string): Shape {
  const shape = { class: meaning.ocsf.class, activity: meaning.ocsf.activity };
  switch (shape.class) {
    case 'authentication': {
      const [own, named] = [fields.user, subject.otherAccount()];
      const user = shape.activity === logon ? (own ?? named) : (named ?? own);
      const service = { name: product };
      if (user !== undefined)
        return { ...shape, own: { user: userOf(user), service, dst_endpoint: { hostname: tenant } } };
      break;
    }
    case 'account_change': {
      const user = subject.account();
      if (user !== undefined) return { ...shape, own: { user: userOf(user) } };
      break;
    }
    case 'user_access': {
      const [user, privileges] = [subject.account(), subject.privileges()];
      if (user !== undefined && privileges.length > 0) return { ...shape, own: { user: userOf(user), privileges } };
      break;
    }
    case 'group_management': {
      const [group, user] = [subject.group(), subject.otherAccount()];
      const own = { group: group && named(group), user: user && userOf(user) };
      if (group !== undefined) return { ...shape, own };
      break;
    }
    case 'entity_management': {
      const thing = subject.thing();
      if (thing !== undefined) return { ...shape, own: { entity: { ...named(thing), type: typeOf(meaning) } } };
      break;
    }
    case 'api_activity':
      return { ...shape, own: api(meaning, fields, subject, tenant) };
  }
  return { class: 'api_activity', activity: apiActivity(meaning), own: api(meaning, fields, subject, tenant) };
}

/** What API Activity needs besides actor and source. */
function api(meaning: Meaning, fields: Fields, subject: Subject, tenant: string) {
  const thing = subject.thing();
  return {
    api: { operation: fields.action ?? nameless, service: { name: product }, version: apiVersion },
    dst_endpoint: { hostname: tenant },
    resources: thing && [{ ...named(thing), type: typeOf(meaning) }],
  };
}

/** Create, read, update, delete as API Activity counts them, from what the table says in ECS's words; else Other. */
function apiActivity({ ecs }: Meaning): number {
  const at = ['creation', 'access', 'change', 'deletion'].findIndex((type) => ecs.type.includes(type));
  return at === -1 ? other : at + 1;
}

const typeOf = (meaning: Meaning) => (meaning.noun.length === 0 ? undefined : meaning.noun.join(' '));
const named = ({ id, name }: { id: string | undefined; name: string | undefined }) => ({ uid: id, name });

/** `email_t` of the schema. */
const email = /^[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$/;

/** An address that is none by the schema stays in `name`. */
function userOf(user: User) {
  const { id: uid, email: address, name } = user;
  const isAddress = address !== undefined && email.test(address);
  return { uid, name: address ?? name, full_name: name, email_addr: isAddress ? address : undefined };
}

/** `ip_t` of the schema: 40 characters at most. */
function source(fields: Fields, tenant: string) {
  if (fields.ip === undefined) return fields.user === undefined ? { hostname: tenant } : { name: nameless };
  return fields.ipVersion !== 0 && fields.ip.length <= 40 ? { ip: fields.ip } : { name: fields.ip };
}

function status(meaning: Meaning, subject: Subject) {
  if (meaning.outcome === 'unknown') return {};
  const id = statusIds[meaning.outcome];
  return { status_id: id, status: id === 1 ? 'Success' : 'Failure', status_detail: subject.reason() };
}

/** The end of the record: `meta` and unknown fields in their own text. */
function unmapped(fields: Fields): string {
  const rest: readonly Raw[] = fields.rest;
  const members = [
    ...(fields.meta === undefined ? [] : [`"meta":${fields.meta}`]),
    ...rest.map(({ key, value }) => `${key}:${value}`),
  ];
  return members.length === 0 ? '}' : `,"unmapped":{${members.join(',')}}}`;
}
