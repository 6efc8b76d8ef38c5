import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTimestamp } from '../../../src/event/timestamp.ts';
import { actions } from '../../../src/testing/simulator/actions.ts';
import { type GeneratedOptions, generatedLog } from '../../../src/testing/simulator/events.ts';

const epochMs = Date.UTC(2026, 10, 24, 12);
const log = (options: Partial<GeneratedOptions> = {}) =>
  generatedLog({ seed: 1, events: 1000, rate: 0, epochMs, now: () => epochMs, ...options });

interface Simulated {
  readonly id: number;
  readonly user: { readonly id: number; readonly name: string; readonly email: string } | null;
  readonly action: string;
  readonly ip: string;
  readonly userAgent: string;
  readonly createdAt: string;
  readonly meta?: object;
}
const eventsOf = (texts: readonly string[]) => texts.map((text) => JSON.parse(text) as Simulated);
const timeOf = ({ createdAt }: Simulated) => parseTimestamp(createdAt) ?? Number.NaN;

describe('generated events', () => {
  it('are the same for the same seed and others for another', () => {
    expect(log().page(0n, 1000)).toEqual(log().page(0n, 1000));
    const actionsOf = (seed: number) => eventsOf(log({ seed }).page(0n, 1000)).map((event) => event.action);
    expect(actionsOf(2)).not.toEqual(actionsOf(1));
  });

  it('do not depend on which page they are read in', () => {
    const [whole, parts] = [log().page(0n, 1000), log()];
    fc.assert(
      fc.property(fc.nat(998), fc.integer({ min: 1, max: 50 }), (index, count) => {
        expect(parts.page(parts.idAt(index), count)).toEqual(whole.slice(index + 1, index + 1 + count));
      }),
    );
  });

  it('have ids that rise with holes, each found again by its index, far out too', () => {
    const { idAt, indexAfter } = log();
    fc.assert(
      fc.property(fc.nat(2 ** 40), (index) => {
        const id = idAt(index);
        expect(idAt(index + 1) > id).toBe(true);
        expect(indexAfter(id)).toBe(index + 1);
        expect(indexAfter(id - 1n)).toBe(index);
      }),
    );
    expect(Number(idAt(150_000)) - 160_000).toBeGreaterThan(0);
    expect(indexAfter(-5n)).toBe(0);
    expect(log().page(2n ** 70n, 10)).toEqual([]);
  });

  it('have the shape of the contract', () => {
    for (const event of eventsOf(log().page(0n, 1000))) {
      expect(event).toMatchObject({
        id: expect.any(Number),
        action: expect.stringMatching(/^[a-z_]+\.[a-z_]+$/),
        ip: expect.stringMatching(/^(192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:)/),
        userAgent: expect.any(String),
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      });
      if (event.user !== null)
        expect(event.user).toEqual({ id: expect.any(Number), name: expect.any(String), email: expect.any(String) });
      if (event.meta !== undefined) expect(event.meta).toBeTypeOf('object');
    }
  });

  it('show every action, people and none, and strings that are hard to carry', () => {
    const texts = log({ events: 20_000 }).page(0n, 20_000);
    const events = eventsOf(texts);
    expect(new Set(events.map((event) => event.action))).toEqual(new Set(actions.map((action) => action.name)));
    expect(events.some((event) => event.user === null)).toBe(true);
    expect(events.some((event) => event.meta === undefined)).toBe(true);
    expect(events.some((event) => event.userAgent.includes('\r\n'))).toBe(true);
    const whole = texts.join('\n');
    for (const sign of ['🚀', 'ترجمة', '\\"', '\\ud83d', '\u2028', '1.0', '1e3', '9007199254740'])
      expect(whole).toContain(sign);
  });

  it('are near 390 bytes in the mean', () => {
    const bytes = Buffer.byteLength(log({ events: 20_000 }).page(0n, 20_000).join(''));
    expect(Math.abs(bytes / 20_000 - 390)).toBeLessThan(25);
  });

  it('rise in time and end at the start of the log', () => {
    const times = eventsOf(log().page(0n, 1000)).map(timeOf);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeLessThanOrEqual(epochMs);
    expect(times.at(-1)).toBeGreaterThan(epochMs - 60_000);
  });
});

describe('a generated log with a rate', () => {
  it('has as many more events as time has passed, each created when it appeared', () => {
    let nowMs = epochMs;
    const growing = log({ rate: 5, now: () => nowMs });
    const last = growing.lastId();
    nowMs += 1999;
    expect(eventsOf(growing.page(last, 1000)).map(timeOf)).toEqual(
      Array.from({ length: 9 }, (_, index) => epochMs + 200 * (index + 1)),
    );
    nowMs += 1;
    expect(growing.page(last, 1000)).toHaveLength(10);
    nowMs += 86_400_000;
    expect(growing.size()).toBe(1000 + 10 + 5 * 86_400);
  });

  it('loses no event when the clock goes back', () => {
    let nowMs = epochMs + 60_000;
    const growing = log({ rate: 5, now: () => nowMs });
    const last = growing.lastId();
    nowMs = epochMs;
    expect(growing.lastId()).toBe(last);
  });

  it('has the same events after a restart with the same epoch', () => {
    const before = log({ rate: 5, now: () => epochMs + 60_000 }).page(0n, 2000);
    const after = log({ rate: 5, now: () => epochMs + 90_000 }).page(0n, 2000);
    expect(before).toHaveLength(1300);
    expect(after.slice(0, 1300)).toEqual(before);
  });

  it('shows late events behind newer ones, each once its delay is over', () => {
    let nowMs = epochMs + 60_000;
    const growing = log({ events: 0, rate: 5, late: { share: 0.5, delayMs: 10_000 }, now: () => nowMs });
    const early = eventsOf(growing.page(0n, 1000));
    const missing = Array.from({ length: 300 }, (_, index) => Number(growing.idAt(index))).filter(
      (id) => !early.some((event) => event.id === id),
    );
    expect(missing.length).toBeGreaterThan(10);
    expect(missing[0]).toBeLessThan(early.at(-1)?.id ?? 0);
    expect(growing.fixed?.(BigInt(early.at(-1)?.id ?? 0))).toBe(false);
    expect(early.every((event) => timeOf(event) <= nowMs)).toBe(true);
    nowMs += 10_000;
    const later = eventsOf(growing.page(0n, 1000)).map((event) => event.id);
    expect(later).toEqual(expect.arrayContaining(missing));
    expect(growing.fixed?.(growing.idAt(299))).toBe(true);
    expect(growing.fixed?.(growing.idAt(100_000))).toBe(false);
  });
});

describe('a generated log without a rate', () => {
  it('grows by as many events as told, created now', () => {
    let nowMs = epochMs;
    const still = log({ now: () => nowMs });
    const last = still.lastId();
    expect([still.fixed?.(last), still.fixed?.(still.idAt(1000))]).toEqual([true, false]);
    nowMs += 5_000;
    still.grow(2);
    nowMs += 5_000;
    still.grow(1);
    expect(eventsOf(still.page(last, 10)).map(timeOf)).toEqual([epochMs + 5_000, epochMs + 5_000, epochMs + 10_000]);
  });
});
