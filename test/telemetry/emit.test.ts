import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { describe as words } from '../../src/telemetry/catalog.ts';
import { createEmit } from '../../src/telemetry/emit.ts';
import type { Level, Logger } from '../../src/telemetry/logger.ts';
import type { Emit, TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { samples } from '../support/happenings.ts';

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
const told = () => lines.map(({ members }) => [members['event'], members['repeated'], members['lastedMs']]);

describe('the log', () => {
  it.each(Object.values(samples))('has a line for $event', (happening) => {
    emit(happening);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.members['event']).toBe(happening.event);
    expect(lines[0]?.message).not.toBe('');
  });

  it('tells a condition that lasts at first, every five minutes with a count, and its end with the duration', () => {
    for (; now < 12 * minute; now += minute) emit(retry);
    emit(samples['pipeline.recovered']);
    expect(told()).toEqual([
      ['pipeline.retry', undefined, undefined],
      ['pipeline.retry', 4, undefined],
      ['pipeline.retry', 4, undefined],
      ['pipeline.recovered', 1, 12 * minute],
    ]);
    emit(retry);
    expect(lines).toHaveLength(5);
  });

  it('keeps the conditions of two sinks, and two reasons, apart', () => {
    emit(retry);
    emit({ ...retry, sink: 'other' });
    emit({ ...retry, reason: 'timeout' });
    emit({ ...samples['pipeline.recovered'], sink: 'other' });
    emit(retry);
    expect(lines).toHaveLength(4);
  });

  it('tells an end that would be too quiet to be seen as loudly as the rest', () => {
    least = 'info';
    emit(samples['pipeline.history_check']);
    emit({ ...samples['pipeline.history_check'], result: 'there' });
    emit({ ...samples['pipeline.history_check'], result: 'there' });
    expect(lines.map(({ level }) => level)).toEqual(['error', 'info']);
  });

  it('has an end for everything that lasts', () => {
    const all = Object.values(samples).map(words);
    const endings = new Set(all.flatMap(({ ends }) => ends ?? []));
    endings.add('pipeline.history_check splunk');
    for (const { lasts } of all) if (lasts !== undefined) expect([...endings]).toContain(lasts);
  });

  it('keeps every digit of an id', () => {
    emit({ ...samples['pipeline.set_aside'], id: 18_446_744_073_709_551_617n });
    expect(lines[0]?.members['id']).toBe('18446744073709551617');
  });

  it('shows no control character, line end or bidi mark, whatever comes from outside', () => {
    const text = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(samples)), text, (sample, hostile) => {
        lines = [];
        now += 10 * minute;
        const entries = Object.entries(sample).map(([key, value]) => {
          const open =
            typeof value === 'string' &&
            !['event', 'fate', 'breadth', 'from', 'reason', 'signal', 'waitingFor'].includes(key);
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
