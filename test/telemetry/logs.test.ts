import { readFileSync } from 'node:fs';
import { describe as about, describe, expect, it } from 'vitest';
import { describe as words } from '../../src/telemetry/catalog.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { samples } from '../support/happenings.ts';

const rows = readFileSync('docs/logs.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, event = '', level = '', means = '', members = '']) => ({
    event: event.slice(1, -1),
    level,
    means,
    members,
  }));
const all: TelemetryEvent[] = Object.values(samples);

about('the table of log events', () => {
  it('has every event there is, and no other', () => {
    expect(rows.map(({ event }) => event).sort()).toEqual(Object.keys(samples).sort());
  });

  describe.each(all)('of $event', (happening) => {
    const row = rows.find(({ event }) => event === happening.event);
    const { level, lasts } = words(happening);

    it('names its level', () => {
      expect(row?.level).toBe(level);
    });

    it('says whether it lasts', () => {
      expect(/[*_]Lasts[*_]/.test(row?.means ?? '')).toBe(lasts !== undefined);
    });

    it('names its members', () => {
      const members = Object.keys(happening).filter((key) => key !== 'event');
      expect(
        (row?.members ?? '')
          .replaceAll(/ \(.*?\)/g, '')
          .split(', ')
          .map((name) => name.trim())
          .filter(Boolean)
          .sort(),
      ).toEqual(members.sort());
    });
  });
});
