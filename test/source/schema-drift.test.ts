import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventValue } from '../../src/event/event.ts';
import { createActions } from '../../src/format/actions.ts';
import { Secret } from '../../src/lib/secret.ts';
import { differencesOf, SchemaDrift } from '../../src/source/schema-drift.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { auditEvent } from '../support/audit-events.ts';

const documented =
  '{"id":1,"user":{"id":1,"name":"a","email":"b"},"action":"x","ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"';
const differences = (text: string) => differencesOf(eventValue(auditEvent(text)));

describe('the differences of an event from the documented one', () => {
  it('are none for what the API documents', () => {
    expect(differences(`${documented}}`)).toEqual([]);
    expect(differences(`${documented},"meta":{"anything":[1]}}`)).toEqual([]);
    expect(
      differences(
        '{"id":9007199254740993,"user":null,"action":"","ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"}',
      ),
    ).toEqual([]);
  });

  it('name unknown fields, hostile ones included', () => {
    expect(differences(`${documented},"severity":1,"__proto__":2,"constructor":3,"meta?":4}`)).toEqual([
      'unknown:severity',
      'unknown:__proto__',
      'unknown:constructor',
      'unknown:meta?',
    ]);
    expect(differences(`${documented.replace('"name"', '"role":"admin","name"')}}`)).toEqual(['unknown:user.role']);
  });

  it('name missing fields and fields of another type', () => {
    expect(differences('{"id":1}')).toEqual(
      ['user', 'action', 'ip', 'userAgent', 'createdAt'].map((name) => `missing:${name}`),
    );
    expect(
      differences('{"id":"1","user":[],"action":1,"ip":null,"userAgent":{},"createdAt":"yesterday","meta":null}'),
    ).toEqual(['id', 'user', 'action', 'ip', 'userAgent', 'createdAt', 'meta'].map((name) => `type:${name}`));
    expect(differences(`${documented.replace('"name":"a",', '').replace('"email":"b"', '"email":null')}}`)).toEqual([
      'missing:user.name',
      'type:user.email',
    ]);
  });

  it('name at most 20 unknown fields', () => {
    const many = Array.from({ length: 1_000 }, (_, at) => `"x${at}":1`).join(',');
    expect(differences(`${documented},${many}}`)).toHaveLength(20);
  });

  it('are the same whether or not the time was parsed before', () => {
    const names = [
      'id',
      'user',
      'action',
      'ip',
      'userAgent',
      'createdAt',
      'meta',
      'name',
      'email',
      'more',
      '__proto__',
    ];
    const [id, text, time, nothing] = [
      fc.integer(),
      fc.string(),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.constant(null),
    ];
    const any = fc.oneof(id, text, fc.constantFrom(null, true, 0.5, [], {}));
    const oneOf = (usual: fc.Arbitrary<unknown>) => fc.oneof({ weight: 9, arbitrary: usual }, any);
    const user = fc.record(
      { id: oneOf(id), name: oneOf(text), email: oneOf(text), role: text },
      { requiredKeys: ['id', 'email'] },
    );
    const event = fc.record(
      {
        id: oneOf(id),
        user: oneOf(fc.oneof(user, nothing)),
        action: oneOf(text),
        ip: oneOf(text),
        userAgent: oneOf(text),
        createdAt: oneOf(time),
        meta: oneOf(fc.constant({})),
      },
      { requiredKeys: ['id', 'user', 'action', 'ip', 'createdAt'] },
    );
    const more = fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      fc.array(fc.tuple(fc.constantFrom(...names), any)),
    );
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(event, more, (members, others) => {
        const written = [...Object.entries(members), ...others].map(
          ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
        );
        const event = auditEvent(`{"id":1,${written.join(',')}}`);
        const value = eventValue(event);
        expect(differencesOf(value, event.createdAtMs)).toEqual(differencesOf(value));
        seen.add(differencesOf(value).length === 0);
      }),
      { numRuns: 1_000 },
    );
    expect(seen).toEqual(new Set([true, false]));
  });
});

const key = 'SIEM-LOG-ONLY-4711';
const actions = createActions();
const whole = (action: string, more = '') =>
  auditEvent(
    `{"id":1,"user":null,"action":${JSON.stringify(action)},"ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"${more}}`,
  );
const report = (drift: SchemaDrift, ...events: ReturnType<typeof whole>[]) => {
  const numbered = events.map((event, index) => ({ ...event, id: BigInt(index + 1) }));
  const found = new Map(numbered.map((event) => [event.id, differencesOf(eventValue(event))]));
  return drift.report(numbered, found, actions, new Secret(key));
};
const only = (reports: readonly TelemetryEvent[]) => {
  expect(reports).toHaveLength(1);
  return reports[0];
};

describe('schema drift', () => {
  it('reports nothing if every event is as documented', () => {
    expect(report(new SchemaDrift(), whole('user.login', ',"meta":{}'), whole('project.create'))).toEqual([]);
  });

  it('counts each field, and reports it as first seen once', () => {
    const drift = new SchemaDrift();
    const odd = whole('user.login', ',"severity":1');
    expect(only(report(drift, odd, whole('user.login'), odd, auditEvent('{"id":1}')))).toEqual({
      event: 'source.drift',
      fields: {
        'unknown:severity': 2,
        'missing:user': 1,
        'missing:action': 1,
        'missing:ip': 1,
        'missing:userAgent': 1,
        'missing:createdAt': 1,
      },
      firstSeen: [
        'unknown:severity',
        ...['user', 'action', 'ip', 'userAgent', 'createdAt'].map((name) => `missing:${name}`),
      ],
    });
    expect(only(report(drift, odd))).toMatchObject({ fields: { 'unknown:severity': 1 }, firstSeen: [] });
    expect(only(report(drift, whole('user.login', ',"other":1')))).toMatchObject({ firstSeen: ['unknown:other'] });
  });

  it('counts each unknown action, and reports it as first seen once', () => {
    const drift = new SchemaDrift();
    expect(only(report(drift, whole('gizmo.frobnicated'), whole('user.login'), whole('gizmo.frobnicated')))).toEqual({
      event: 'source.unknown_actions',
      actions: { 'gizmo.frobnicated': 2 },
      firstSeen: ['gizmo.frobnicated'],
    });
    expect(only(report(drift, whole('gizmo.frobnicated'), whole('gizmo.deleted')))).toMatchObject({
      actions: { 'gizmo.frobnicated': 1, 'gizmo.deleted': 1 },
      firstSeen: ['gizmo.deleted'],
    });
  });

  it('distinguishes fifty names of each kind and counts the others as one', () => {
    const drift = new SchemaDrift();
    const many = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => whole(`gizmo.x${from + at}`, `,"x${from + at}":1`));
    const [fields, unknown] = report(drift, ...many(0, 60));
    expect(fields).toMatchObject({ fields: { 'unknown:x49': 1, other: 10 } });
    expect(fields?.event === 'source.drift' && fields.firstSeen).toHaveLength(51);
    expect(unknown).toMatchObject({ actions: { 'gizmo.x49': 1, other: 10 } });
    expect(report(drift, ...many(60, 70))).toMatchObject([
      { fields: { other: 10 }, firstSeen: [] },
      { actions: { other: 10 }, firstSeen: [] },
    ]);
    // Documented names are never crowded out.
    expect(only(report(drift, whole('user.login', ',"meta":1')))).toMatchObject({ firstSeen: ['type:meta'] });
  });

  it('counts an event with many unknown fields once as other', () => {
    const drift = new SchemaDrift();
    const fields = (name: string) => Array.from({ length: 20 }, (_, at) => `,"${name}${at}":1`).join('');
    for (const name of ['a', 'b', 'c']) report(drift, whole('user.login', fields(name)));
    expect(only(report(drift, whole('user.login', fields('d'))))).toMatchObject({ fields: { other: 1 } });
  });

  it('shows printable names, and never the key', () => {
    const drift = new SchemaDrift();
    const hostile = whole(`a\u001b[31m\n${key}`, `,"__proto__":1,"${key}":2,"${'x'.repeat(500)}":3`);
    const [fields, unknown] = report(drift, hostile);
    expect(fields).toMatchObject({
      firstSeen: ['unknown:__proto__', 'unknown:[secret]', `unknown:${'x'.repeat(52)}…`],
    });
    expect(unknown).toMatchObject({ firstSeen: ['a\\u001b[31m\\u000a[secret]'] });
  });
});
