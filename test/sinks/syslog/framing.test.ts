import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/event/event.ts';
import { eventValue } from '../../../src/event/event.ts';
import type { Format } from '../../../src/format/format.ts';
import { frame } from '../../../src/sinks/syslog/framing.ts';
import { composeMessage } from '../../../src/sinks/syslog/message.ts';
import { relpFrame } from '../../../src/sinks/syslog/relp-frames.ts';
import { splitPage } from '../../../src/source/split-page.ts';
import { hostileEvent, seeded } from '../../support/hostile.ts';
import { parse5424, readLines, readOctetCounted, readRelp } from '../../support/rfc5424.ts';
import { composing, encoded, plainJson } from '../../support/syslog.ts';

const eventsPerTest = 10_000;
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const visible = (text: string) =>
  text
    .toWellFormed()
    .replace(new RegExp(control, 'g'), (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A text format that escapes nothing: the worst case behind the interface. */
const careless: Format = {
  name: 'careless',
  json: false,
  encode: (event) => Buffer.from(`id=${event.id} agent=${eventValue(event)['userAgent']} digits in ${event.text}`),
};

function messagesOf(events: readonly AuditEvent[], format: Format, maxBytes: number) {
  const rules = composing({ maxMessageBytes: maxBytes }, format);
  const messages: Buffer[] = [];
  const ids: bigint[] = [];
  for (const event of events) {
    const message = composeMessage(encoded(event, format), rules);
    if (!Buffer.isBuffer(message)) continue;
    messages.push(message);
    ids.push(event.id);
  }
  return { messages, ids };
}

const relpStream = (messages: readonly Buffer[]) =>
  Buffer.concat(messages.map((message, index) => relpFrame(index + 1, 'syslog', message)));

describe('hostile events through every framing', () => {
  it.each(Array.from({ length: 10 }, (_, index) => index + 1))(
    `lets an independent reader find exactly the records sent (${eventsPerTest} events, part %i of 10)`,
    (part) => {
      const random = seeded(part);
      const events = Array.from({ length: eventsPerTest }, (_, index) => hostileEvent(index + 1, random));
      const format = part % 5 === 0 ? careless : plainJson;
      const maxBytes = part % 3 === 0 ? 1180 : 8000;
      const { messages, ids } = messagesOf(events, format, maxBytes);
      expect(ids.length).toBeGreaterThan(eventsPerTest * 0.97);

      const texts = messages.map((message) => message.toString('utf8'));
      // A datagram is its message; the others are read back from one stretch of a stream.
      expect(readOctetCounted(frame(messages, 'octet-counting'))).toEqual(texts);
      expect(readLines(frame(messages, 'newline'))).toEqual(texts);
      expect(readRelp(relpStream(messages))).toEqual(texts);

      for (const [index, text] of texts.entries()) {
        const event = events[Number(ids[index]) - 1];
        if (event === undefined) throw new Error('a record that was not sent');
        expect(messages[index]?.length).toBeLessThanOrEqual(maxBytes);
        if (control.test(text) || !text.isWellFormed())
          throw new Error(`a control character in ${JSON.stringify(text)}`);
        check(parse5424(text), event, format);
      }
    },
  );

  function check(parsed: ReturnType<typeof parse5424>, event: AuditEvent, format: Format): void {
    const shortened = parsed.sd['truncated'] === 'true';
    const { facility, host, app, procid, sdId, sd } = parsed;
    const [action, ip] = ['action', 'ip'].map((key) => eventValue(event)[key] as string);
    // Plain comparisons: a matcher a record would take most of the time.
    const fixed = [facility, host, app, procid, sdId, sd['id'], sd['tenant']].join(' ');
    const wanted = `13 acme.eu1.qasphere.com qasphere - qasphere@32473 ${event.id} acme.eu1.qasphere.com`;
    if (fixed !== wanted) throw new Error(`${fixed} is not ${wanted}`);
    for (const [given, found] of [[action, sd['action']], [ip, sd['src']]] as const) // biome-ignore format: pairs
      if (
        shortened
          ? !visible(given ?? '').startsWith((found ?? '').slice(0, -12))
          : visible(given ?? '') !== (found ?? '')
      )
        throw new Error(`${JSON.stringify(found)} was read for ${JSON.stringify(given)}`);
    if (!format.json) return;
    const value = JSON.parse(parsed.msg);
    if (!parsed.msg.includes(`{"id":${event.id},"digits":[12345678901234567890,1.0,1e3,-0],`))
      throw new Error('other digits');
    if (shortened) expect(value['truncated']).toBe(true);
    else expect(JSON.stringify(value)).toBe(JSON.stringify(eventValue(event)));
  }
});

describe('hostile events cut out of a page', () => {
  it('are the messages that each makes alone, whether or not others of the page need escapes', () => {
    const random = seeded(77);
    const rules = composing();
    const bytes = (of: AuditEvent) => {
      const message = composeMessage(encoded(of), rules);
      return Buffer.isBuffer(message) ? String(message) : message;
    };
    for (let page = 0; page < 200; page++) {
      const events = Array.from({ length: page % 5 === 0 ? 5 : 1 }, (_, index) => hostileEvent(index + 1, random));
      const cut = splitPage(Buffer.from(`{"events":[${events.map(({ text }) => text.toString()).join(',')}]}`), 0);
      if (cut.kind !== 'page') throw new Error(cut.detail);
      expect(cut.events.map(bytes)).toEqual(events.map(bytes));
    }
  });
});
