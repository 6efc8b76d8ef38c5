import { describe, expect, it } from 'vitest';
import { parseStartAt } from '../../src/config/start-at.ts';

describe('startAt', () => {
  it.each([
    ['beginning', { kind: 'beginning' }],
    ['now', { kind: 'now' }],
    ['0', { kind: 'id', id: 0n }],
    ['2026', { kind: 'id', id: 2026n }],
    ['9007199254740993', { kind: 'id', id: 9007199254740993n }],
    ['2026-01-31', { kind: 'time', timeMs: Date.UTC(2026, 0, 31) }],
    ['2026-01-31T10:00:00Z', { kind: 'time', timeMs: Date.UTC(2026, 0, 31, 10) }],
    ['2026-01-31T10:00:00.250+02:00', { kind: 'time', timeMs: Date.UTC(2026, 0, 31, 8, 0, 0, 250) }],
  ])('reads %s', (text, expected) => {
    expect(parseStartAt(text)).toEqual(expected);
  });

  it.each(['', 'Now', ' now', '-1', '1.0', '9223372036854775808', '2026-02-30', '2026-01-31T10:00:00', '31.1.2026'])(
    'does not read %j',
    (text) => {
      expect(parseStartAt(text)).toBeUndefined();
    },
  );
});
