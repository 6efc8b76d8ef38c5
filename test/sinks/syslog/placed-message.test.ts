import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Encoded, PlacedEvent } from '../../../src/event/event.ts';
import { jsonFormat } from '../../../src/format/json.ts';
import { Message } from '../../../src/sinks/syslog/message.ts';
import { messageWithin, rulesOf } from '../../../src/sinks/syslog/message-size.ts';
import { splitPage } from '../../../src/source/split-page.ts';
import { generatedLog } from '../../../src/testing/simulator/events.ts';
import { auditEvent } from '../../support/audit-events.ts';
import { options, sinkDeps } from '../../support/syslog.ts';

const format = jsonFormat({ tenant: 'acme', version: '1' });
const rules = rulesOf(options({ address: 'tcp://127.0.0.1' }), sinkDeps());

const bytes = (encoded: Encoded, maxBytes: number) => {
  const message = messageWithin(encoded, maxBytes, rules, format);
  if (!(message instanceof Message)) return message.detail;
  // In the middle of something, as in a frame.
  const target = Buffer.alloc(message.length + 2, '#');
  expect(message.writeTo(target, 1)).toBe(message.length + 1);
  return target.toString();
};

const _iso = '2026-11-23T10:00:00.000Z';

function placed(text: string): PlacedEvent {
  const cut = splitPage(Buffer.from(`{"events":[${text}],"count":1,"after":12345678}`), 0);
  const event = cut.kind === 'page' ? cut.events[0] : undefined;
  if (!(event instanceof PlacedEvent)) throw new Error(`left to the parser: ${text}`);
  return event;
}

/** What becomes of an event as it comes out of a page, and of one that was parsed. */
function both(text: string, maxBytes = 8000): { placed: unknown; parsed: unknown } {
  const event = placed(text);
  const alone = auditEvent(text, event.id);
  return {
    placed: bytes(event, maxBytes),
    parsed: bytes({ event: alone, redacted: alone, record: format.encode(alone) }, maxBytes),
  };
}

describe('a message made of a page’s own bytes', () => {
  it('is the one that is made of the parsed event, whatever its user, address and action are', () => {
    const text = fc.stringMatching(/^[ !#-[\]-\u{2fff}\u{1f000}-\u{1f5ff}]{0,40}$/u);
    const user = fc.oneof(
      fc.constant(null),
      fc.record({
        id: fc.nat(),
        name: text,
        email: fc.oneof(
          fc.emailAddress(),
          text.filter((t) => t !== ''),
        ),
      }),
    );
    const time = fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T00:00:00Z') })
      .chain((date) => fc.constantFrom(date.toISOString(), `${date.toISOString().slice(0, 19)}Z`));
    const event = fc.record({
      id: fc.nat(),
      user: user.filter((user) => !user?.email.includes('"') && !user?.email.includes('\\')),
      action: fc.oneof(fc.constantFrom('test_case.create', 'user.login'), text),
      ip: fc.oneof(fc.ipV4(), fc.ipV6(), text),
      userAgent: fc.string({ unit: 'grapheme' }),
      createdAt: time,
      meta: fc.constant({ title: 'x'.repeat(30) }),
    });
    fc.assert(
      fc.property(event, fc.constantFrom(8000, 8000, 500), (value, maxBytes) => {
        const { placed, parsed } = both(JSON.stringify(value), maxBytes);
        expect(placed).toBe(parsed);
      }),
      { numRuns: 4_000 },
    );
  });

  it('is so for what a server sends', () => {
    const log = generatedLog({ seed: 5, events: 3_000, rate: 0, epochMs: Date.UTC(2026, 10, 1), now: () => 0 });
    const texts = log.page(0n, 3_000);
    expect(texts).toHaveLength(3_000);
    for (const text of texts) {
      const { placed, parsed } = both(text);
      expect(placed).toBe(parsed);
    }
  });
});
