import { describe, expect, it } from 'vitest';
import { createFormat } from '../../src/format/formats.ts';
import { auditEvent } from '../support/audit-events.ts';
import { ecsProblems } from '../support/ecs.ts';
import { expectedFields } from '../support/expected-fields.ts';
import { forHostileEvents } from '../support/hostile-events.ts';
import { holds, same } from '../support/same.ts';
import { ecsSchema } from '../support/schema-data.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const format = createFormat('ecs', {}, context);

/** As much of a record as the tests look at. */
interface Ecs {
  '@timestamp': string;
  tags?: string[];
  event: Record<string, unknown> & { category: string[]; type: string[] };
  user?: { id?: string; name?: string; full_name?: string; email?: string; target?: Record<string, string> };
  source?: { address: string; ip?: string };
  user_agent?: { original: string };
  related?: { ip?: string[]; user?: string[] };
  organization: { id: string };
  qasphere: { audit: Record<string, unknown> };
}

const parsed = (text: string) => JSON.parse(format.encode(auditEvent(text)).toString()) as Ecs;

describe('the ECS format', () => {
  it('contains every field of hostile events, and meta as sent', { timeout: 600_000 }, () => {
    forHostileEvents((hostile) => {
      const event = expectedFields(hostile);
      const text = format.encode(hostile.event).toString();
      holds('one line', !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text));
      const record = JSON.parse(text) as Ecs;
      same('event.id', record.event['id'], event.id);
      same('event.action', record.event['action'], event.action);
      same('@timestamp', record['@timestamp'], new Date(event.ms).toISOString());
      same('tags', record.tags?.join(), event.readable ? undefined : 'time_of_receipt');
      same('user.id', record.user?.id, event.user.id);
      same('user.name', record.user?.name, event.user.email ?? event.user.name);
      same('user.full_name', record.user?.full_name, event.user.name);
      same('user.email', record.user?.email, event.user.email);
      same('source.address', record.source?.address, event.ip);
      same('source.ip', record.source?.ip, event.version === 0 ? undefined : event.ip);
      same('user_agent.original', record.user_agent?.original, event.userAgent);
      same('organization.id', record.organization.id, context.tenant);
      if (!event.readable) same('created_at', record.qasphere.audit['created_at'], event.createdAt);
      holds(
        'meta',
        event.meta === undefined ? !('meta' in record.qasphere.audit) : text.includes(`,"meta":${event.meta}`),
      );
      const unmapped = (record.qasphere.audit['unmapped'] ?? {}) as object;
      same('unmapped', Object.keys(unmapped).sort().join(), [...event.unmapped.keys()].sort().join());
      for (const [name, value] of event.unmapped) if (name !== 'user') holds(name, text.includes(`:${value}`));
    });
  });

  it.skipIf(ecsSchema === undefined)(
    'uses fields of ECS 9.4.0 alone, with their types and values (skipped without ../shared/data)',
    { timeout: 600_000 },
    () => {
      if (ecsSchema === undefined) return;
      const schema = ecsSchema;
      same('version', schema.version, '9.4.0');
      forHostileEvents(({ event }) => {
        const problems = ecsProblems(schema, JSON.parse(format.encode(event).toString()) as object);
        same('problems', problems.join('; '), '');
      });
    },
  );

  it('names the account acted upon and collects what is related', () => {
    const record = parsed(
      '{"id":1,"action":"user.deleted","ip":"203.0.113.7","user":{"id":1,"name":"A","email":"a@x.test"},' +
        '"meta":{"user":{"id":9007199254740993,"name":"B","email":"b@x.test"}}}',
    );
    expect(record.user?.target).toEqual({
      id: '9007199254740993',
      name: 'b@x.test',
      full_name: 'B',
      email: 'b@x.test',
    });
    expect(record.related).toEqual({
      ip: ['203.0.113.7'],
      user: ['1', 'a@x.test', 'A', '9007199254740993', 'b@x.test', 'B'],
    });
    expect([record.event.category, record.event.type]).toEqual([['iam'], ['user', 'deletion']]);
  });

  it('omits what is missing', () => {
    const record = parsed(
      '{"id":1,"user":null,"action":"x","ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00.000Z"}',
    );
    for (const name of ['user', 'source', 'user_agent', 'related', 'tags']) expect(record).not.toHaveProperty(name);
    expect(record.qasphere.audit).toEqual({ category: 'other', activity: 'other' });
  });
});
