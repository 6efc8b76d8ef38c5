import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionOf, CutEvent, createdAtMs } from '../../src/core/event.ts';
import { redactor } from '../../src/format/redact.ts';
import { auditEvent } from '../support/audit-events.ts';

function cut(text: string, keep: boolean): CutEvent {
  return new CutEvent(1n, Buffer.from(text), JSON.parse(text) as Record<string, unknown>, 0, { keepValues: keep });
}

const members = fc.record(
  {
    action: fc.oneof(fc.string(), fc.jsonValue()),
    createdAt: fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.jsonValue(),
    ),
    meta: fc.jsonValue(),
  },
  { requiredKeys: [] },
);

describe('an event cut out of a page', () => {
  it('says the same of itself whether its value was kept, is parsed again, or came with a plain event', () => {
    fc.assert(
      fc.property(members, (event) => {
        const text = JSON.stringify(event);
        const plain = auditEvent(text);
        for (const keep of [true, false]) {
          const own = cut(text, keep);
          expect([actionOf(own), createdAtMs(own)]).toEqual([actionOf(plain), createdAtMs(plain)]);
          expect(own.value).toEqual(plain.value);
          expect(own.value).toBe(own.value);
        }
      }),
    );
  });

  it('takes no stack for nesting when it is parsed again', () => {
    const meta = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const event = new CutEvent(1n, Buffer.from(`{"meta":${meta}}`), {}, 0);
    expect(Object.keys(event.value)).toEqual(['meta']);
  });

  it('does not leave its time and action to a copy from which they were taken out', () => {
    const event = cut('{"id":1,"action":"user.login","createdAt":"2026-11-24T10:00:00Z"}', false);
    const shown = redactor(['createdAt', 'action'])(event);
    expect(createdAtMs(event)).toBe(Date.UTC(2026, 10, 24, 10));
    expect([actionOf(shown), createdAtMs(shown)]).toEqual(['[redacted]', undefined]);
  });
});
