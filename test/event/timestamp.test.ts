import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTimestamp } from '../../src/event/timestamp.ts';

const read = (text: string) => {
  const ms = parseTimestamp(text);
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

describe('a timestamp', () => {
  it.each([
    ['2026-11-24T10:00:00Z', '2026-11-24T10:00:00.000Z'],
    ['2026-11-24T10:00:00.123Z', '2026-11-24T10:00:00.123Z'],
    ['2026-11-24T10:00:00.123456789Z', '2026-11-24T10:00:00.123Z'],
    ['2026-11-24T10:00:00.1+02:00', '2026-11-24T08:00:00.100Z'],
    ['2026-11-24T10:00:00-0330', '2026-11-24T13:30:00.000Z'],
    ['2026-11-24 10:00:00+00', '2026-11-24T10:00:00.000Z'],
    ['2026-11-24T10:00Z', '2026-11-24T10:00:00.000Z'],
    ['2026-11-24', '2026-11-24T00:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is read', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  it.each([
    ['30 February', '2026-02-30T10:00:00Z'],
    ['29 February outside a leap year', '2026-02-29T10:00:00Z'],
    ['31 November', '2026-11-31'],
    ['month 13', '2026-13-01T10:00:00Z'],
    ['day 0', '2026-11-00T10:00:00Z'],
    ['hour 24', '2026-11-24T24:00:00Z'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['minute 60', '2026-11-24T10:60:00Z'],
    ["Go's zero time", '0001-01-01T00:00:00Z'],
    ['a time before 1970', '1969-12-31T23:59:59Z'],
    ['the year 0', '0000-01-01T00:00:00Z'],
    ['a time after 9999 in UTC', '9999-12-31T23:59:59-01:00'],
    ['an expanded year', '+012026-11-24T10:00:00Z'],
    ['another form of a date', 'Tue, 24 Nov 2026 10:00:00 GMT'],
    ['a number', '1764000000000'],
    ['an impossible zone', '2026-11-24T10:00:00+99:00'],
    ['a line behind it', '2026-11-24T10:00:00Z\n'],
    ['nothing', ''],
  ])('%s is unreadable', (_, text) => {
    expect(read(text)).toBeUndefined();
  });

  it('is read as Date.parse reads it, in the form that the API documents', () => {
    const date = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z') });
    fc.assert(fc.property(date, (date) => parseTimestamp(date.toISOString()) === date.getTime()));
  });

  it('without a zone is UTC, whatever the zone of the host is', () => {
    const module = fileURLToPath(new URL('../../src/event/timestamp.ts', import.meta.url));
    const script = `import { parseTimestamp } from '${module}'; console.log(parseTimestamp('2026-07-01T10:00:00'));`;
    for (const TZ of ['America/New_York', 'Asia/Tokyo']) {
      const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        env: { ...process.env, TZ },
      });
      expect(Number(String(printed))).toBe(Date.UTC(2026, 6, 1, 10));
    }
  });
});
