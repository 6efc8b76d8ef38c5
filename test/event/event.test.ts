import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AuditEvent,
  actionOf,
  type CutEvent,
  copyRecord,
  createdAtMs,
  ipOf,
  ParsedEvent,
  sizeOf,
  userOf,
} from '../../src/event/event.ts';
import type { Reading } from '../../src/event/reading.ts';
import { Sheet } from '../../src/event/sheet.ts';
import { redactor } from '../../src/format/redact.ts';
import { auditEvent } from '../support/audit-events.ts';

function cut(text: string, reading: Reading, value = JSON.parse(text) as Record<string, unknown>): CutEvent {
  const bytes = Buffer.from(`[${text}]`);
  return new ParsedEvent(1n, new Sheet(bytes, 0, reading), 1, bytes.length - 1, value);
}

const readings: readonly Reading[] = [{}, { keepValues: true }, { keepParties: true }];

const members = fc.record(
  {
    action: fc.oneof(fc.string(), fc.jsonValue()),
    createdAt: fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.jsonValue(),
    ),
    ip: fc.oneof(fc.ipV4(), fc.jsonValue()),
    user: fc.oneof(
      fc.record({ id: fc.jsonValue(), name: fc.jsonValue(), email: fc.oneof(fc.emailAddress(), fc.jsonValue()) }),
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
        for (const reading of readings) {
          const own = cut(text, reading);
          const said = (of: AuditEvent) => [actionOf(of), createdAtMs(of), userOf(of), ipOf(of), String(of.text)];
          expect(said(own)).toEqual(said(plain));
          expect(own.value).toEqual(plain.value);
          expect(own.value).toBe(own.value);
        }
      }),
    );
  });

  it('takes no stack for nesting when it is parsed again', () => {
    const meta = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const event = cut(`{"meta":${meta}}`, {}, {});
    expect(Object.keys(event.value)).toEqual(['meta']);
  });

  it('does not leave its time and action to a copy from which they were taken out', () => {
    const event = cut('{"id":1,"action":"user.login","createdAt":"2026-11-24T10:00:00Z"}', {});
    const shown = redactor(['createdAt', 'action'])(event);
    expect(createdAtMs(event)).toBe(Date.UTC(2026, 10, 24, 10));
    expect([actionOf(shown), createdAtMs(shown)]).toEqual(['[redacted]', undefined]);
  });

  it('is copied as its own record, byte for byte', () => {
    fc.assert(
      fc.property(members, fc.nat(20), (event, at) => {
        const text = JSON.stringify(event);
        const own = cut(text, {});
        expect(String(own.record)).toBe(text);
        const target = Buffer.alloc(at + sizeOf(own) + 1, '#');
        expect(copyRecord(own, target, at)).toBe(at + sizeOf(own));
        expect(String(target)).toBe(`${'#'.repeat(at)}${text}#`);
      }),
    );
  });
});

describe('a page', () => {
  const sheet = (text: string) => new Sheet(Buffer.from(text), 0, {});

  it('is inert where what must not stand in a payload stands elsewhere, and nowhere once that is too often', () => {
    const calm = '{"a":"Zoë"}';
    const text = (times: number) => `${calm},${'\u007f'.repeat(times)},${calm}`;
    for (const [times, inert] of [
      [0, true],
      [1, true],
      [1_000, true],
      [1_001, false],
    ] as const) {
      const page = sheet(text(times));
      expect(page.isInert(0, calm.length)).toBe(inert);
      expect(page.isInert(page.bytes.length - calm.length - 1, page.bytes.length)).toBe(inert);
      expect(page.isInert(0, page.bytes.length)).toBe(times === 0);
    }
  });

  it('is inert only without what a syslog payload must not hold, and plain only without line ends and tabs', () => {
    const unit = fc.constantFrom(
      'a',
      '"',
      '\u00a0',
      'é',
      '€',
      '‧',
      '…',
      '\u2030',
      '\u2028',
      '\u2029',
      '\u0080',
      '\u009f',
      '\u007f',
      '\n',
      '\r',
      '\t',
      '🦊',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        expect(sheet(text).isPlain).toBe(!/[\n\r\t]/.test(text));
        const { bytes } = sheet(text);
        for (let from = 0; from <= bytes.length; from++)
          if (((bytes[from] ?? 0) & 0xc0) !== 0x80)
            expect(sheet(text).isInert(from, bytes.length)).toBe(
              !/[\n\r\t]/.test(text) && !/[\u007f-\u009f\u2028\u2029]/.test(bytes.toString('utf8', from)),
            );
      }),
      { numRuns: 2_000 },
    );
  });
});
