import { describe, expect, it } from 'vitest';
import { HalfCloses } from '../../../src/sinks/syslog/half-closes.ts';

const well = { answered: true, proven: true };
const unanswered = { answered: false, proven: true };
const unproven = { answered: true, proven: false };

/** Steps from `step` to the next try. */
function pauseFrom(step: number, halfCloses: HalfCloses): number {
  let steps = 0;
  for (; !halfCloses.mayTry; steps++) halfCloses.confirmedByTime(step + steps + 1);
  return steps;
}

describe('half-closes', () => {
  it('are tried again after twice as long each time that no answer comes, at last after some three hours', () => {
    const halfCloses = new HalfCloses(10);
    const pauses: number[] = [];
    for (let step = 0, tries = 0; tries < 13; tries++) {
      halfCloses.ended(unanswered, step);
      pauses.push(pauseFrom(step, halfCloses));
      step += pauses.at(-1) ?? 0;
    }
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 10_240, 10_240]);
  });

  it('are not given up for one that a stopped collector answered', () => {
    const halfCloses = new HalfCloses(10);
    halfCloses.ended(unproven, 0);
    expect(halfCloses.mayTry).toBe(true);
    halfCloses.ended(unproven, 1);
    expect(halfCloses.mayTry).toBe(false);
    expect(pauseFrom(1, halfCloses)).toBe(20);
  });

  it.each([2, 3, 5, 9])('become rare with a collector that takes no connection after every %ith', (period) => {
    const halfCloses = new HalfCloses(10);
    let failed = 0;
    let tried = 0;
    for (let step = 1; step <= 10_000; step++) {
      halfCloses.confirmedByTime(step);
      if (!halfCloses.mayTry) continue;
      const fails = ++tried % period === 0;
      if (fails) failed++;
      halfCloses.ended(fails ? unproven : well, step);
    }
    expect(failed).toBeLessThanOrEqual(11);
  });

  it('are trusted again after ten good ones in a row', () => {
    const halfCloses = new HalfCloses(10);
    halfCloses.ended(unproven, 0);
    for (let step = 1; step <= 10; step++) halfCloses.ended(well, step);
    halfCloses.ended(unproven, 11);
    expect(halfCloses.mayTry).toBe(true);
  });
});
