import { describe, expect, it } from 'vitest';
import { createFormat } from '../../src/format/formats.ts';
import { auditEvent } from '../support/audit-events.ts';
import { expectedFields, withControlsEscaped } from '../support/expected-fields.ts';
import { forHostileEvents } from '../support/hostile-events.ts';
import { parseLeef } from '../support/leef.ts';
import { holds, same } from '../support/same.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const format = createFormat('leef', {}, context);
const parsed = (text: string) => parseLeef(format.encode(auditEvent(text)).toString());

/** What of a text must arrive: LEEF has no escapes, so the delimiter and line ends become something else. */
const arrived = (text: string | undefined): string | undefined => {
  const whole = withControlsEscaped((text ?? '').toWellFormed().replace(/[\t\r\n]/g, ' '))
    .replaceAll('^', '_')
    .replace(/^ +| +$/g, '');
  return whole === '' ? undefined : whole;
};

describe('the LEEF format', () => {
  it('returns the original fields through an independent parser, for hostile events', { timeout: 600_000 }, () => {
    forHostileEvents((hostile) => {
      const event = expectedFields(hostile);
      const { header, attributes } = parseLeef(format.encode(hostile.event).toString());
      const says = (key: string, text: string | undefined) => same(key, attributes.get(key), arrived(text));
      same('header', header.slice(0, 4).join(), 'LEEF:2.0,Hypersequent,QA Sphere,v0');
      holds('EventID is short', (header[4] ?? '').length <= 255);
      if (header[4] !== event.action?.toWellFormed()) says('action', event.action);
      const user = arrived(event.user.email ?? event.user.name);
      if (user === undefined || user.length <= 255) same('usrName', attributes.get('usrName'), user);
      else holds('usrName', attributes.get('usrName')?.length === 255 && user.startsWith(attributes.get('usrName')?.slice(0, 254) ?? '?')); // biome-ignore format: one condition
      says('userId', event.user.id);
      says('userDisplayName', event.user.name);
      says('userAgent', event.userAgent);
      says('src', event.version === 0 ? undefined : event.ip);
      says('srcText', event.version === 0 ? event.ip : undefined);
      says('eventId', event.id);
      says('tenant', context.tenant);
      same('timeSource', attributes.get('timeSource'), event.readable ? undefined : 'receipt');
      if (!event.readable) says('createdAt', event.createdAt);
      sameTime(attributes, event.ms);
      holds('sev', /^[1-9]$|^10$/.test(attributes.get('sev') ?? ''));
      same('meta', attributes.get('meta'), event.meta?.replaceAll('^', '\\u005e'));
      const unmapped = attributes.get('unmapped');
      same('unmapped', unmapped === undefined, event.unmapped.size === 0);
      const keys = unmapped === undefined ? [] : Object.keys(JSON.parse(unmapped) as object);
      same('unmapped keys', keys.sort().join(), [...event.unmapped.keys()].sort().join());
      for (const [name, value] of event.unmapped)
        if (name !== 'user') holds(name, unmapped?.includes(`:${value.replaceAll('^', '\\u005e')}`) === true);
    });
  });

  it('has the delimiter in the header and nowhere in a value', () => {
    const record = format.encode(auditEvent('{"id":1,"userAgent":"a^usrName=root","meta":{"^":"^^"}}')).toString();
    expect(record).toContain('|^|');
    const { attributes } = parseLeef(record);
    expect(attributes.get('usrName')).toBeUndefined();
    expect(attributes.get('userAgent')).toBe('a_usrName=root');
    expect(JSON.parse(attributes.get('meta') ?? '')).toEqual({ '^': '^^' });
  });

  it('keeps the whole action if the header can’t hold it', () => {
    expect(parsed('{"id":1,"action":"a|b"}').header[4]).toBe('a_b');
    expect(parsed('{"id":1,"action":"a|b"}').attributes.get('action')).toBe('a|b');
    const long = parsed(JSON.stringify({ id: 1, action: 'x'.repeat(300) }));
    expect(long.header[4]).toBe(`${'x'.repeat(254)}…`);
    expect(long.attributes.get('action')).toBe('x'.repeat(300));
    expect(parsed('{"id":1}').header[4]).toBe('unknown');
    expect(parsed('{"id":1,"action":"user.login"}').attributes.get('action')).toBeUndefined();
  });

  it('writes a time as 13 digits, or as text if it has another number of digits', () => {
    const time = (createdAt: string) => {
      const { attributes } = parsed(JSON.stringify({ id: 1, createdAt }));
      return [attributes.get('devTime'), attributes.get('devTimeFormat')];
    };
    expect(time('2026-11-23T10:00:00.123Z')).toEqual(['1795428000123', undefined]);
    expect(time('1999-02-03T04:05:06.007Z')).toEqual(['Feb 03 1999 04:05:06.007 UTC', 'MMM dd yyyy HH:mm:ss.SSS z']);
  });
});

function sameTime(attributes: ReadonlyMap<string, string>, ms: number): void {
  const time = attributes.get('devTime') ?? '';
  if (attributes.get('devTimeFormat') === undefined) holds('devTime has 13 digits', /^\d{13}$/.test(time));
  const read = /^\d+$/.test(time) ? Number(time) : Date.parse(time);
  same('devTime', read, ms);
}
