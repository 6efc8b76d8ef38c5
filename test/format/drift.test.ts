import { describe, expect, it } from 'vitest';
import { driftOf } from '../../src/format/drift.ts';
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
});
