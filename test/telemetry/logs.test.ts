import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { entryOf, type TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { samples } from '../support/telemetry-events.ts';

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

describe('the table of log events', () => {
  it('lists every event, and no other', () => {
    expect(rows.map(({ event }) => event).sort()).toEqual(Object.keys(samples).sort());
  });

  describe.each(all)('of $event', (sample) => {
    const row = rows.find(({ event }) => event === sample.event);
    const { level, lasts } = entryOf(sample);

    it('states its level', () => {
      expect(row?.level).toBe(typeof level === 'function' ? level(sample) : level);
    });

    it('states whether it is a lasting condition', () => {
      expect(/[*_]Lasts[*_]/.test(row?.means ?? '')).toBe(lasts !== undefined);
    });

    it('lists its members', () => {
      const members = Object.keys(sample).filter((key) => key !== 'event');
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
