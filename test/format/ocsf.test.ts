import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createFormat } from '../../src/format/formats.ts';
import { ocsfClasses } from '../../src/format/vocabulary.ts';
import { auditEvent } from '../support/audit-events.ts';
import { expectedFields } from '../support/expected-fields.ts';
import { forHostileEvents } from '../support/hostile-events.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { holds, same } from '../support/same.ts';
import { ocsfSchema } from '../support/schema-data.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const format = createFormat('ocsf', {}, context);

/** As much of a record as the tests look at. */
interface Ocsf extends Record<string, unknown> {
  class_uid: number;
  activity_id: number;
  activity_name?: string;
  time: number;
  metadata: Record<string, unknown>;
  actor: { user?: Record<string, unknown>; app_name?: string };
  src_endpoint: { ip?: string; name?: string; hostname?: string };
  http_request?: { user_agent: string };
  unmapped?: Record<string, unknown>;
}

const parsed = (text: string) => JSON.parse(format.encode(auditEvent(text)).toString()) as Ocsf;
const jane = '"user":{"id":7,"name":"Jane","email":"jane@acme.test"}';
const event = (action: string, meta = '{}', user = jane) =>
  parsed(`{"id":1,${user},"action":"${action}","meta":${meta}}`);

describe('the OCSF format', () => {
  it('contains every field of hostile events, and meta as sent', { timeout: 600_000 }, () => {
    forHostileEvents((hostile) => {
      const expected = expectedFields(hostile);
      const text = format.encode(hostile.event).toString();
      holds('one line', !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text));
      const record = JSON.parse(text) as Ocsf;
      same('metadata.uid', record.metadata['uid'], expected.id);
      same('metadata.event_code', record.metadata['event_code'], expected.action);
      same('metadata.original_time', record.metadata['original_time'], expected.createdAt);
      same('metadata.tenant_uid', record.metadata['tenant_uid'], context.tenant);
      same('metadata.labels', isDeepStrictEqual(record.metadata['labels'], ['time_of_receipt']), !expected.readable);
      same('time', record.time, expected.ms);
      same('actor', record.actor.user === undefined, !expected.hasUser);
      same('uid', record.actor.user?.['uid'], expected.user.id);
      same('name', record.actor.user?.['name'], expected.user.email ?? expected.user.name);
      same('full_name', record.actor.user?.['full_name'], expected.user.name);
      const place = record.src_endpoint;
      if (expected.ip !== undefined) same('src_endpoint', place.ip ?? place.name, expected.ip);
      if (expected.version === 0) same('src_endpoint.ip', place.ip, undefined);
      same('user_agent', record.http_request?.user_agent, expected.userAgent);
      holds('meta', expected.meta === undefined || text.includes(`"unmapped":{"meta":${expected.meta}`));
      const keys = Object.keys(record.unmapped ?? {}).filter((key) => key !== 'meta' || expected.meta === undefined);
      same('unmapped', keys.sort().join(), [...expected.unmapped.keys()].sort().join());
      for (const [name, value] of expected.unmapped) if (name !== 'user') holds(name, text.includes(`:${value}`));
    });
  });

  it.skipIf(ocsfSchema === undefined)(
    'makes records that the schema of OCSF 1.8.0 takes, of each class (skipped without ../shared/data)',
    { timeout: 600_000 },
    () => {
      if (ocsfSchema === undefined) return;
      const schema = ocsfSchema;
      same('version', schema.version, '1.8.0');
      forHostileEvents((hostile) => {
        const record = JSON.parse(format.encode(hostile.event).toString()) as Ocsf;
        same('problems', ocsfProblems(schema, record).join('; '), '');
      });
      // Which classes those meet is left to chance.
      const each = [
        event('user.login'),
        event('user.created', '{"userId":8}'),
        event('user.role.updated', '{"userId":8,"role":"admin"}'),
        event('group.member.added', '{"group":{"id":3,"name":"G"},"userId":8}'),
        event('api_key.created', '{"name":"SIEM-LOG-ONLY-x"}'),
        event('user.created'),
      ];
      for (const record of each) expect(ocsfProblems(schema, record)).toEqual([]);
      expect(each.map(({ class_uid }) => class_uid).sort()).toEqual(
        Object.values(ocsfClasses)
          .map(({ uid }) => uid)
          .sort(),
      );
    },
  );

  it.skipIf(ocsfSchema === undefined)('knows its classes as the schema does (skipped without ../shared/data)', () => {
    for (const [name, { uid, category, activities }] of Object.entries(ocsfClasses)) {
      const known = ocsfSchema?.classes[name];
      expect([known?.class_uid, known?.category_uid]).toEqual([uid, category]);
      expect(known?.attributes['activity_id']?.enum).toMatchObject(activities);
    }
  });

  it('maps to Authentication with a user, and to API Activity without one', () => {
    expect(event('user.login')).toMatchObject({ class_uid: 3002, activity_id: 1, user: { uid: '7' } });
    expect(event('login_failed', '{"email":"x@acme.test","reason":"bad password"}', '"user":null')).toMatchObject({
      class_uid: 3002,
      user: { name: 'x@acme.test', email_addr: 'x@acme.test' },
      actor: { app_name: 'QA Sphere' },
      status_id: 2,
      status: 'Failure',
      status_detail: 'bad password',
    });
    expect(event('session.revoked', '{"userId":8}')).toMatchObject({
      user: { uid: '8' },
      actor: { user: { uid: '7' } },
    });
    expect(event('login_failed', '{}', '"user":null')).toMatchObject({
      class_uid: 6003,
      activity_id: 99,
      status_id: 2,
    });
  });

  it('maps to Account Change if the account is known: another’s, or one’s own', () => {
    expect(event('user.created', '{"userId":8}')).toMatchObject({
      class_uid: 3001,
      activity_id: 1,
      user: { uid: '8' },
    });
    expect(event('password.changed')).toMatchObject({ class_uid: 3001, activity_id: 3, user: { uid: '7' } });
    expect(event('user.created')).toMatchObject({ class_uid: 6003, activity_id: 1 });
    expect(event('user.suspended')).toMatchObject({ class_uid: 6003, activity_id: 3 });
  });

  it('maps to User Access, Group and Entity Management if meta names what they require', () => {
    expect(event('user.role.updated', '{"userId":8,"role":"admin"}')).toMatchObject({
      class_uid: 3005,
      privileges: ['admin'],
    });
    expect(event('user.role.updated', '{"userId":8,"roles":["a",{"name":"b"}]}')).toMatchObject({
      privileges: ['a', 'b'],
    });
    expect(event('user.role_update', '{"target":{"id":8},"before":"user","after":"admin"}')).toMatchObject({
      class_uid: 3005,
      user: { uid: '8' },
      privileges: ['admin'],
    });
    expect(event('user.role.updated', '{"userId":8}')).toMatchObject({ class_uid: 6003 });
    expect(event('group.member.added', '{"group":{"id":3,"name":"G"},"userId":8}')).toMatchObject({
      class_uid: 3006,
      activity_id: 3,
      group: { uid: '3', name: 'G' },
      user: { uid: '8' },
    });
    expect(event('api_key.created', '{"apiKeyId":9007199254740993,"name":"SIEM-LOG-ONLY-x"}')).toMatchObject({
      class_uid: 3004,
      entity: { uid: '9007199254740993', type: 'api key' },
    });
    expect(event('api_key.created', '{"name":"SIEM-LOG-ONLY-x"}')).toMatchObject({
      entity: { name: 'SIEM-LOG-ONLY-x' },
    });
    expect(event('api_key.created')).toMatchObject({ class_uid: 6003, activity_id: 1 });
  });

  it('makes an unknown action API Activity, Other, under its own name', () => {
    expect(event('frobnicate')).toMatchObject({
      class_uid: 6003,
      activity_id: 99,
      type_uid: 600399,
      activity_name: 'frobnicate',
      api: { operation: 'frobnicate' },
      dst_endpoint: { hostname: context.tenant },
    });
  });

  it('keeps an email or an address that the schema does not take as a name', () => {
    const record = parsed(
      '{"id":1,"user":{"id":7,"email":"not an address"},"ip":"0000:0000:0000:0000:0000:ffff:255.255.255.255"}',
    );
    expect(record.actor.user).toEqual({ uid: '7', name: 'not an address' });
    expect(record.src_endpoint).toEqual({ name: '0000:0000:0000:0000:0000:ffff:255.255.255.255' });
  });
});
