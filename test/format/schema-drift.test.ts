import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createdAtMs } from '../../src/event/event.ts';
import { driftOf } from '../../src/format/schema-drift.ts';
import { auditEvent } from '../support/audit-events.ts';

const whole =
  '{"id":1,"user":{"id":1,"name":"a","email":"b"},"action":"x","ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"';
const drift = (text: string) => driftOf(auditEvent(text).value);

describe('drift from the documented event', () => {
  it('is empty for what the API documents', () => {
    expect(drift(`${whole}}`)).toEqual([]);
    expect(drift(`${whole},"meta":{"anything":[1]}}`)).toEqual([]);
    expect(
      drift(
        '{"id":9007199254740993,"user":null,"action":"","ip":"","userAgent":"","createdAt":"2026-11-23T10:00:00Z"}',
      ),
    ).toEqual([]);
  });

  it('names unknown fields, hostile ones too', () => {
    expect(drift(`${whole},"severity":1,"__proto__":2,"constructor":3,"meta?":4}`)).toEqual([
      'unknown:severity',
      'unknown:__proto__',
      'unknown:constructor',
      'unknown:meta?',
    ]);
    expect(drift(`${whole.replace('"name"', '"role":"admin","name"')}}`)).toEqual(['unknown:user.role']);
  });

  it('names missing fields and fields of another type', () => {
    expect(drift('{"id":1}')).toEqual(
      ['user', 'action', 'ip', 'userAgent', 'createdAt'].map((name) => `missing:${name}`),
    );
    expect(
      drift('{"id":"1","user":[],"action":1,"ip":null,"userAgent":{},"createdAt":"yesterday","meta":null}'),
    ).toEqual(['id', 'user', 'action', 'ip', 'userAgent', 'createdAt', 'meta'].map((name) => `type:${name}`));
    expect(drift(`${whole.replace('"name":"a",', '').replace('"email":"b"', '"email":null')}}`)).toEqual([
      'missing:user.name',
      'type:user.email',
    ]);
  });

  it('names no more than some of many unknown fields', () => {
    const many = Array.from({ length: 1_000 }, (_, at) => `"x${at}":1`).join(',');
    expect(drift(`${whole},${many}}`)).toHaveLength(20);
  });

  it('is the same whether or not the time was read already', () => {
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
    const [id, text, time, nothing] = [fc.integer(), fc.string(), fc.date().map(String), fc.constant(null)];
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
        const { value } = auditEvent(`{"id":1,${written.join(',')}}`);
        const known = createdAtMs({ id: 1n, text: Buffer.alloc(0), value, receivedAtMs: 0 });
        expect(driftOf(value, known)).toEqual(driftOf(value));
        seen.add(driftOf(value).length === 0);
      }),
      { numRuns: 1_000 },
    );
    expect(seen).toEqual(new Set([true, false]));
  });
});
