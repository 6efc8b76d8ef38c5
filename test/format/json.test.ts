import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFormat } from '../../src/format/json.ts';
import { auditEvent } from '../support/audit-events.ts';
import { objectTrees, textOf } from '../support/json-texts.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const plain = jsonFormat(context);
const wrapped = jsonFormat(context, true);

describe('the json format', () => {
  it('is the API’s own text, without a copy', () => {
    const event = auditEvent(
      '{"id":9007199254740993,"meta":{"a":-0,"b":1e3,"c":1.0,"d":"\\ud800\u2028"},"__proto__":1}',
    );
    expect(plain.encode(event)).toBe(event.text);
  });

  it('changes nothing but line ends and tabs between tokens', () => {
    fc.assert(
      fc.property(objectTrees(), (tree) => {
        const event = auditEvent(textOf(tree));
        const before = event.text.toString();
        const record = plain.encode(event).toString();
        expect(record).toBe(before.replace(/[\r\n\t]/g, ' '));
        expect(JSON.parse(record)).toEqual(JSON.parse(before));
        expect(event.text.toString()).toBe(before);
      }),
    );
  });

  it('wraps the same text with tenant and time of receipt', () => {
    const event = auditEvent('{"id": 9007199254740993,\n"meta":{"n":1.0}}');
    expect(wrapped.encode(event).toString()).toBe(
      '{"tenant":"acme.eu1.qasphere.com","receivedAt":"2026-11-23T10:00:05.000Z",' +
        '"event":{"id": 9007199254740993, "meta":{"n":1.0}}}',
    );
  });

  it('uses no stack for nesting', () => {
    const deep = `{"id":1,"meta":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(plain.encode(auditEvent(deep)).toString()).toBe(deep);
    expect(wrapped.encode(auditEvent(deep)).toString()).toContain(deep);
  });
});
