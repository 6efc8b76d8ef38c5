import { describe, expect, it } from 'vitest';
import { Drift } from '../../src/app/schema-drift.ts';
import { createActions } from '../../src/format/actions.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { auditEvent } from '../support/audit-events.ts';

const key = 'SIEM-LOG-ONLY-4711';
const actions = createActions();
const whole = (action: string, more = '') =>
  auditEvent(
    `{"id":1,"user":null,"action":${JSON.stringify(action)},"ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"${more}}`,
  );
const read = (drift: Drift, ...events: ReturnType<typeof whole>[]) => drift.of(events, actions, new Secret(key));
const only = (happenings: readonly TelemetryEvent[]) => {
  expect(happenings).toHaveLength(1);
  return happenings[0];
};

describe('the drift of the API', () => {
  it('is none where all is as documented', () => {
    expect(read(new Drift(), whole('user.login', ',"meta":{}'), whole('project.create'))).toEqual([]);
  });

  it('is counted by field, once a page, and news once', () => {
    const drift = new Drift();
    const odd = whole('user.login', ',"severity":1');
    expect(only(read(drift, odd, whole('user.login'), odd, auditEvent('{"id":1}')))).toEqual({
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
    expect(only(read(drift, odd))).toMatchObject({ fields: { 'unknown:severity': 1 }, firstSeen: [] });
    expect(only(read(drift, whole('user.login', ',"other":1')))).toMatchObject({ firstSeen: ['unknown:other'] });
  });

  it('is counted by unknown action, and news once', () => {
    const drift = new Drift();
    expect(only(read(drift, whole('gizmo.frobnicated'), whole('user.login'), whole('gizmo.frobnicated')))).toEqual({
      event: 'source.unknown_actions',
      actions: { 'gizmo.frobnicated': 2 },
      firstSeen: ['gizmo.frobnicated'],
    });
    expect(only(read(drift, whole('gizmo.frobnicated'), whole('gizmo.deleted')))).toMatchObject({
      actions: { 'gizmo.frobnicated': 1, 'gizmo.deleted': 1 },
      firstSeen: ['gizmo.deleted'],
    });
  });

  it('tells fifty names of each kind apart and takes the others for one', () => {
    const drift = new Drift();
    const many = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => whole(`gizmo.x${from + at}`, `,"x${from + at}":1`));
    const [fields, unknown] = read(drift, ...many(0, 60));
    expect(fields).toMatchObject({ fields: { 'unknown:x49': 1, other: 10 } });
    expect(fields?.event === 'source.drift' && fields.firstSeen).toHaveLength(51);
    expect(unknown).toMatchObject({ actions: { 'gizmo.x49': 1, other: 10 } });
    expect(read(drift, ...many(60, 70))).toMatchObject([
      { fields: { other: 10 }, firstSeen: [] },
      { actions: { other: 10 }, firstSeen: [] },
    ]);
    // What is documented is never crowded out.
    expect(only(read(drift, whole('user.login', ',"meta":1')))).toMatchObject({ firstSeen: ['type:meta'] });
  });

  it('counts an event with many unknown fields once among the others', () => {
    const drift = new Drift();
    const fields = (name: string) => Array.from({ length: 20 }, (_, at) => `,"${name}${at}":1`).join('');
    for (const name of ['a', 'b', 'c']) read(drift, whole('user.login', fields(name)));
    expect(only(read(drift, whole('user.login', fields('d'))))).toMatchObject({ fields: { other: 1 } });
  });

  it('shows names fit to be shown, and never the key', () => {
    const drift = new Drift();
    const hostile = whole(`a\u001b[31m\n${key}`, `,"__proto__":1,"${key}":2,"${'x'.repeat(500)}":3`);
    const [fields, unknown] = read(drift, hostile);
    expect(fields).toMatchObject({
      firstSeen: ['unknown:__proto__', 'unknown:[secret]', `unknown:${'x'.repeat(52)}…`],
    });
    expect(unknown).toMatchObject({ firstSeen: ['a\\u001b[31m\\u000a[secret]'] });
  });
});
