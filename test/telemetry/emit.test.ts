import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { createEmit } from '../../src/telemetry/emit.ts';
import type { Level, Logger } from '../../src/telemetry/logger.ts';
import { type Emit, entryOf, type TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { samples } from '../support/telemetry-events.ts';

interface Line {
  readonly level: string;
  readonly members: Readonly<Record<string, unknown>>;
  readonly message: string;
}

const order: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const minute = 60_000;
let now: number;
let lines: Line[];
let least: Level;
let emit: Emit;

beforeEach(() => {
  now = 0;
  lines = [];
  least = 'trace';
  const logger: Logger = {
    log: (level, members, message) => lines.push({ level, members, message }),
    writes: (level) => order.indexOf(level) >= order.indexOf(least),
    setLevel: () => {},
  };
  emit = createEmit({ logger, now: () => now });
});

const retry = samples['pipeline.retry'];
const logged = () => lines.map(({ members }) => [members['event'], members['repeated'], members['lastedMs']]);

describe('the log', () => {
  it.each(Object.values(samples))('has a line for $event', (event) => {
    emit(event);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.members['event']).toBe(event.event);
    expect(lines[0]?.message).not.toBe('');
  });

  it('reports a lasting condition at first, every five minutes with a count, and at its end with the duration', () => {
    for (; now < 12 * minute; now += minute) emit(retry);
    emit(samples['pipeline.recovered']);
    expect(logged()).toEqual([
      ['pipeline.retry', undefined, undefined],
      ['pipeline.retry', 4, undefined],
      ['pipeline.retry', 4, undefined],
      ['pipeline.recovered', 1, 12 * minute],
    ]);
    emit(retry);
    expect(lines).toHaveLength(5);
  });

  it('treats the conditions of two sinks, and of two reasons, separately', () => {
    emit(retry);
    emit({ ...retry, sink: 'other' });
    emit({ ...retry, reason: 'timeout' });
    emit({ ...samples['pipeline.recovered'], sink: 'other' });
    emit(retry);
    expect(lines).toHaveLength(4);
  });

  it('logs the end of a condition at info if its own level is lower', () => {
    least = 'info';
    emit({ ...samples['pipeline.history_check'], result: 'missing' });
    emit({ ...samples['pipeline.history_check'], result: 'unchanged' });
    emit({ ...samples['pipeline.history_check'], result: 'unchanged' });
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'info']);
  });

  it('defines an end for every lasting condition, except a rewritten log', () => {
    const all: readonly TelemetryEvent[] = Object.values(samples);
    const ends = new Set(all.flatMap((event) => entryOf(event).ends?.(event) ?? []));
    ends.add('pipeline.history_check splunk rewritten');
    for (const event of all) {
      const condition = entryOf(event).lasts?.(event);
      if (condition !== undefined) expect([...ends]).toContain(condition);
    }
  });

  it('keeps every digit of an id', () => {
    emit({ ...samples['pipeline.set_aside'], id: 18_446_744_073_709_551_617n });
    expect(lines[0]?.members['id']).toBe('18446744073709551617');
  });

  it('writes no control character, line end or bidi mark, whatever the members hold', () => {
    const text = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(samples)), text, (sample, hostile) => {
        lines = [];
        now += 10 * minute;
        const entries = Object.entries(sample).map(([key, value]) => {
          const open =
            typeof value === 'string' &&
            !['event', 'result', 'scope', 'from', 'reason', 'signal', 'waitingFor'].includes(key);
          return [key, open ? hostile : value];
        });
        emit(Object.fromEntries(entries) as TelemetryEvent);
        expect(
          JSON.stringify(lines.map(({ members, message }) => [Object.values(members).flat().join(''), message])),
        ).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/);
      }),
    );
  });
});
