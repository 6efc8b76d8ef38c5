import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AuditEvent, actionOf, createdAtMs, ipOf, PlacedEvent, userOf } from '../../src/event/event.ts';
import { driftOf } from '../../src/format/schema-drift.ts';
import { DocumentedReader } from '../../src/source/fast-path.ts';
import { splitPage } from '../../src/source/split-page.ts';
import { auditEvent } from '../support/audit-events.ts';

const said = (of: AuditEvent) => [of.id, actionOf(of), createdAtMs(of), userOf(of), ipOf(of), of.text.toString()];

/** What was read of a text, and what a parser says; undefined where it was left to the parser. */
function read(text: Buffer): { placed: unknown[]; parsed: unknown[]; drift: readonly string[] } | undefined {
  // With something behind it, as in a page: the reader looks ahead.
  const bytes = Buffer.concat([Buffer.from('['), text, Buffer.from(`,${'"'.repeat(24)}`)]);
  const reader = new DocumentedReader(bytes);
  if (!reader.read(1)) return undefined;
  const own = bytes.subarray(1, reader.to);
  const parsed = auditEvent(own, BigInt(JSON.parse(own.toString()).id));
  const cut = splitPage(Buffer.from(`{"events":[${own}],"count":1,"after":1}`), 0);
  const placed = cut.kind === 'page' ? cut.events[0] : undefined;
  if (!(placed instanceof PlacedEvent)) throw new Error('the page is read in another way');
  return { placed: said(placed), parsed: said(parsed), drift: driftOf(parsed.value) };
}

const documented = [
  '{"id":1,"user":{"id":13,"name":"Tomás Núñez","email":"tomas@acme.example"},"action":"test_case.create","ip":"198.51.100.23","userAgent":"Mozilla/5.0 (\\"X11\\"; rv:144.0)","createdAt":"2026-11-17T03:38:49.198Z","meta":{"project":"MOB","n":[1,null,true,{"a":-1.5e3}]}}',
  '{ "createdAt" : "2024-02-29T23:59:59Z" ,"ip": "" ,\n"action":"","userAgent":"","id":900719925474099, "user":null}'.replaceAll(
    '" :',
    '":',
  ),
  '{"user":{"email":"ö@x.example","name":"","id":0},"meta":{},"userAgent":"\\u0000","id":0,"action":"ö.ß","ip":"::1","createdAt":"1999-12-31T00:00:00.001Z"}',
];

describe('an event as documented', () => {
  it.each(documented)('is read without being parsed, and says of itself what the parsed one says: %s', (text) => {
    const { placed, parsed, drift } = read(Buffer.from(text)) ?? expect.fail('was left to the parser');
    expect(placed).toEqual(parsed);
    expect(drift).toEqual([]);
  });

  it.each(documented)('with any byte damaged is read as a parser reads it, or left to the parser: %s', (text) => {
    const bytes = Buffer.from(text);
    let both = 0;
    for (let at = 0; at < bytes.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const other = Buffer.from(bytes);
        other[at] = byte;
        if (!isUtf8(other)) continue;
        const seen = read(other);
        if (seen === undefined) continue;
        if (seen.drift.length > 0) expect.fail(`${other} drifts: ${seen.drift}`);
        expect(seen.placed).toEqual(seen.parsed);
        both++;
      }
    }
    expect(both).toBeGreaterThan(bytes.length);
  });

  it('put together from anything is read as a parser reads it, or left to the parser', () => {
    const rarely = (usual: fc.Arbitrary<string>, ...odd: string[]) =>
      fc.oneof({ weight: 12, arbitrary: usual }, fc.constantFrom(...odd));
    const integer = rarely(fc.nat().map(String), '-1', '1.0', '01', '1e3', '9007199254740993', '"1"', '""');
    const text = rarely(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.emailAddress()).map((value) => JSON.stringify(value)),
      ...['""', '"a', 'null', '"\\x"', '"\\u12g4"', '"\\u00e9"', '"\n"', '7', '{}'],
    );
    const time = rarely(
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(1e14) }).map((date) => JSON.stringify(date)),
      ...['"2026-02-30T10:00:00Z"', '"2026-13-01T10:00:00Z"', '"2026-01-01T24:00:00Z"', '"2026-01-01T10:60:00Z"'],
      ...['"2026-01-01T10:00:00.5Z"', '"2026-01-01T10:00:00.123456Z"', '"2026-01-01T10:00:00+00:00"'],
      ...['"2026-01-01T10:00:00.123z"', '"0050-01-01T10:00:00Z"', '"2026-01-01"', 'null'],
    );
    const many = (items: fc.Arbitrary<string>[]) =>
      fc
        .tuple(fc.tuple(...items), fc.nat(9))
        .chain(([all, missing]) => fc.shuffledSubarray(all, { minLength: all.length - (missing === 0 ? 1 : 0) }));
    const member = (name: string, value: fc.Arbitrary<string>) => value.map((value) => `"${name}":${value}`);
    const object = (members: fc.Arbitrary<string[]>) =>
      fc.tuple(members, fc.constantFrom(',', ', ', ' ,\n')).map(([parts, comma]) => `{${parts.join(comma)}}`);
    const user = object(many([member('id', integer), member('name', text), member('email', text)]));
    const more = fc.constantFrom(
      '"id":5',
      '"action":"x"',
      '"more":1',
      '"\\u0069d":7',
      '"meta":{}',
      '"meta":[]',
      '"users":1',
    );
    const event = object(
      fc
        .tuple(
          many([
            member('id', integer),
            member('user', fc.oneof(user, fc.constantFrom('null', 'nul', '[]'))),
            member('action', text),
            member('ip', text),
            member('userAgent', text),
            member('createdAt', time),
            member(
              'meta',
              fc.json().filter((json) => json.startsWith('{')),
            ),
          ]),
          fc.option(more, { freq: 8 }),
        )
        .map(([members, one]) => (one === null ? members : [...members, one])),
    );
    let both = 0;
    fc.assert(
      fc.property(event, (text) => {
        const seen = read(Buffer.from(text));
        if (seen === undefined) return;
        both++;
        expect(seen.placed).toEqual(seen.parsed);
        expect(seen.drift).toEqual([]);
      }),
      { numRuns: 12_000 },
    );
    expect(both).toBeGreaterThan(200);
  });

  it('is read with times as Date.parse reads them', () => {
    const part = (most: number) => fc.nat(most + 1).map((value) => String(value).padStart(2, '0'));
    const parts = fc.tuple(fc.nat(9999), part(12), part(31), part(23), part(59), part(59), fc.nat(999));
    let both = 0;
    fc.assert(
      fc.property(parts, ([year, month, day, hours, minutes, seconds, millis]) => {
        const time = `${String(year).padStart(4, '0')}-${month}-${day}T${hours}:${minutes}:${seconds}.${String(millis).padStart(3, '0')}Z`;
        const seen = read(Buffer.from(`{"id":1,"user":null,"action":"","ip":"","userAgent":"","createdAt":"${time}"}`));
        if (seen === undefined) return;
        both++;
        expect(seen.placed).toEqual(seen.parsed);
      }),
      { numRuns: 5_000 },
    );
    expect(both).toBeGreaterThan(1_000);
  });

  it('at the very end of its page is left to the parser, or read within its bounds', () => {
    for (const text of documented) {
      const bytes = Buffer.from(text);
      for (let end = 0; end <= bytes.length; end++) {
        const reader = new DocumentedReader(bytes.subarray(0, end));
        if (reader.read(0)) expect(reader.to).toBe(bytes.length);
      }
    }
  });

  it.each([
    ['an unknown member', '"severity":1'],
    ['a doubled one', '"id":2'],
    ['an escaped one', '"\\u0069d":2'],
  ])('is not one with %s', (_, member) => {
    expect(read(Buffer.from(documented[0]?.replace('"ip"', `${member},"ip"`) ?? ''))).toBeUndefined();
  });
});
