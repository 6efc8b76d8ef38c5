import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createFormat } from '../../src/format/formats.ts';
import { auditEvent, receivedAtMs } from '../support/audit-events.ts';
import { parseCef } from '../support/cef.ts';
import { expectedFields, withControlsEscaped } from '../support/expected-fields.ts';
import { forHostileEvents } from '../support/hostile-events.ts';
import { holds, same } from '../support/same.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const format = createFormat('cef', {}, context);
const parsed = (text: string) => parseCef(format.encode(auditEvent(text)).toString());

/** CEF dictionary of the standard, as far as we use it: longest value in characters. */
const limits: Readonly<Record<string, number>> = {
  act: 63, cat: 1023, externalId: 40, rt: 20, suid: 1023, suser: 1023, duid: 1023, duser: 1023, src: 15, c6a2: 39,
  c6a2Label: 1023, requestClientApplication: 1023, dhost: 1023, deviceExternalId: 255, destinationServiceName: 1023,
  outcome: 63, reason: 1023, msg: 1023, cs1: 4000, cs2: 4000, cs3: 4000, cs4: 4000, cs5: 4000, cs1Label: 1023,
  cs2Label: 1023, cs3Label: 1023, cs4Label: 1023, cs5Label: 1023, flexString1: 1023, flexString1Label: 128,
}; // biome-ignore format: a table

/** What of a text must arrive: line ends as they are, a space for TAB, other controls to be withControlsEscaped, no outer spaces. */
const arrived = (text: string) =>
  text
    .toWellFormed()
    .replaceAll('\t', ' ')
    .replace(/[^\r\n]+/g, withControlsEscaped)
    .replace(/^ +| +$/g, '');

/** Whether `value` is `text`, or as much of it as fits. */
function fits(key: string, value: string | undefined, text: string | undefined, escaped: string | undefined) {
  const whole = text === undefined ? '' : arrived(text);
  if (whole === '') return same(key, value, undefined);
  const limit = limits[key] ?? 0;
  if (value === whole && (escaped ?? '').length <= limit) return;
  holds(`${key} ends in …`, value?.endsWith('…') === true);
  holds(`${key} begins as it should`, whole.startsWith(value?.slice(0, -1) ?? '?'));
  holds(`${key} is cut because it must`, whole.length + (whole.match(/[\\=\r\n]/g) ?? []).length > limit);
  holds(`${key} uses its room`, (escaped ?? '').length > limit - 16);
}

describe('the CEF format', () => {
  it('returns the original fields through an independent parser, for hostile events', { timeout: 600_000 }, () => {
    forHostileEvents((hostile) => {
      const event = expectedFields(hostile);
      const { header, extension, escaped } = parseCef(format.encode(hostile.event).toString());
      const says = (key: string, text: string | undefined) => fits(key, extension.get(key), text, escaped.get(key));
      same('header', header.slice(0, 4).join(), 'CEF:0,Hypersequent,QA Sphere,v0');
      holds('severity', ['1', '3', '5', '8'].includes(header[6] ?? ''));
      says('act', event.action);
      says('suid', event.user.id);
      says('suser', event.user.email ?? event.user.name);
      says('cs1', event.user.name);
      says('requestClientApplication', event.userAgent);
      says('src', event.version === 4 ? event.ip : undefined);
      says('c6a2', event.version === 6 ? event.ip : undefined);
      says('cs3', event.version === 0 ? event.ip : undefined);
      same('externalId', extension.get('externalId'), event.id);
      same('rt', extension.get('rt'), String(event.ms));
      same('flexString1', extension.get('flexString1'), event.readable ? undefined : 'receipt');
      if (!event.readable) says('cs5', event.createdAt);
      same('dhost', extension.get('dhost'), context.tenant);
      sameJson(extension.get('cs2'), event.meta, escaped.get('cs2'));
      const others = [...event.unmapped].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
      sameMembers(extension.get('cs4'), others, escaped.get('cs4'));
      for (const [key, value] of escaped) {
        holds(`${key} is no longer than it may be`, value.length <= (limits[key] ?? 0));
        if (/^(cs\d|c6a2|flexString1)$/.test(key)) holds(`${key} has its label`, extension.has(`${key}Label`));
      }
    });
  });

  it('escapes pipe and backslash in the header, and neither = there nor pipe in the extension', () => {
    const { header } = parsed('{"id":1,"action":"a|b\\\\c=d\\n\\te"}');
    expect(header[4]).toBe('a|b\\c=d  e');
    expect(format.encode(auditEvent('{"id":1,"action":"a|b=c"}')).toString()).toContain('|a\\|b=c|');
    expect(format.encode(auditEvent('{"id":1,"userAgent":"a|b=c"}')).toString()).toContain('=a|b\\=c ');
  });

  it('lets no value forge a key or a record', () => {
    const { extension } = parsed('{"id":1,"userAgent":"x suser=admin\\nCEF:0|a|b|c|d|e|10|act=x\\\\"}');
    expect(extension.get('suser')).toBeUndefined();
    expect(extension.get('requestClientApplication')).toBe('x suser=admin\nCEF:0|a|b|c|d|e|10|act=x\\');
  });

  it('cuts at a code point, never inside an escape, and says so', () => {
    const action = `${'a'.repeat(61)}😀😀`;
    expect(parsed(JSON.stringify({ id: 1, action })).extension.get('act')).toBe(`${'a'.repeat(61)}…`);
    const { escaped } = parsed(JSON.stringify({ id: 1, userAgent: '='.repeat(2_000) }));
    expect(escaped.get('requestClientApplication')).toBe(`${'\\='.repeat(511)}…`);
  });

  it('shortens a long meta by its longest values and leaves it JSON', () => {
    const meta = `{"id":9007199254740993,"long":"${'y='.repeat(3_000)}","deep":[[1.0]],"list":[${'1,'.repeat(3_000)}1]}`;
    const value = parsed(`{"id":1,"meta":${meta}}`).extension.get('cs2') ?? '';
    expect(value.startsWith('{"id":9007199254740993,"long":"y=y=')).toBe(true);
    expect(value.endsWith('…","deep":[[1.0]],"truncated":true}')).toBe(true);
    expect(value.length).toBeGreaterThan(2_000);
    const own = parsed(`{"id":1,"meta":{"truncated":false,"long":"${'y'.repeat(5_000)}"}}`).extension.get('cs2') ?? '';
    expect(own.match(/"truncated"/g)).toHaveLength(1);
    expect(own).toContain('"truncated":true');
  });

  it('never cuts an id, and marks a time of receipt', () => {
    const { extension } = parseCef(format.encode(auditEvent('{"createdAt":"soon"}', 10n ** 45n)).toString());
    expect(extension.get('externalId')).toBe(String(10n ** 45n));
    expect([extension.get('rt'), extension.get('flexString1'), extension.get('cs5')]).toEqual([
      String(receivedAtMs),
      'receipt',
      'soon',
    ]);
  });

  it('keeps a createdAt that milliseconds can’t express', () => {
    const time = (text: string) => parsed(`{"id":1,"createdAt":"${text}"}`).extension;
    expect(time('2026-11-23T10:00:00.123Z').get('cs5')).toBeUndefined();
    expect(time('2026-11-23T12:00:00.123456+02:00').get('cs5')).toBe('2026-11-23T12:00:00.123456+02:00');
    expect(time('2026-11-23T12:00:00.123456+02:00').get('rt')).toBe(String(Date.UTC(2026, 10, 23, 10, 0, 0, 123)));
  });

  it('names the account acted upon', () => {
    const { extension } = parsed(
      '{"id":1,"action":"user.deleted","user":{"id":1,"name":"A","email":"a@x.test"},"meta":{"userId":9007199254740993}}',
    );
    expect([extension.get('suser'), extension.get('duid')]).toEqual(['a@x.test', '9007199254740993']);
  });
});

function sameJson(value: string | undefined, json: string | undefined, escaped = ''): void {
  if (value === json) return;
  const read = JSON.parse(value ?? 'null') as { truncated?: unknown };
  // Without the earlier occurrences of doubled keys, which no reader sees, it may fit.
  if (read.truncated !== true) holds('what is too long says so', isDeepStrictEqual(read, JSON.parse(json ?? '')));
  holds('only what is too long is shortened', (json ?? '').length + (json?.match(/[\\=]/g) ?? []).length > 3_900);
  holds('what is shortened fits', escaped.length <= 4_000);
}

function sameMembers(value: string | undefined, members: readonly string[], escaped: string | undefined) {
  if (members.length === 0) return same('cs4', value, undefined);
  const json = JSON.parse(value ?? '') as Record<string, unknown>;
  if (json['truncated'] === true) return sameJson(value, `{${members.join(',')}}`, escaped);
  holds('unmapped fields are the same', isDeepStrictEqual(json, JSON.parse(`{${members.join(',')}}`)));
  for (const member of members.filter((text) => !text.startsWith('"user"')))
    holds('and in their own text', value?.includes(member.slice(member.indexOf('":') + 1)) === true);
}
