import { describe, expect, it } from 'vitest';
import { StreamPolicy } from '../../../src/sinks/syslog/stream-policy.ts';

const well = { answered: true, proven: true };
const unanswered = { answered: false, proven: true };
const unproven = { answered: true, proven: false };

/** Steps from `step` to the next try. */
function pauseFrom(step: number, policy: StreamPolicy): number {
  let steps = 0;
  for (; !policy.mayHalfClose; steps++) policy.confirmedByTime(step + steps + 1);
  return steps;
}

describe('half-closes of a stream', () => {
  it('are tried again after pauses that double with each one left unanswered, up to three hours', () => {
    const policy = new StreamPolicy(10);
    const pauses: number[] = [];
    for (let step = 0, tries = 0; tries < 13; tries++) {
      policy.halfCloseEnded(unanswered, step);
      pauses.push(pauseFrom(step, policy));
      step += pauses.at(-1) ?? 0;
    }
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 10_240, 10_240]);
  });

  it('are tried once more at once after one that a stopped collector answered', () => {
    const policy = new StreamPolicy(10);
    policy.halfCloseEnded(unproven, 0);
    expect(policy.mayHalfClose).toBe(true);
    policy.halfCloseEnded(unproven, 1);
    expect(policy.mayHalfClose).toBe(false);
    expect(pauseFrom(1, policy)).toBe(20);
  });

  it.each([2, 3, 5, 9])('become rare with a collector that refuses the connection after every %ith', (period) => {
    const policy = new StreamPolicy(10);
    let failed = 0;
    let tried = 0;
    for (let step = 1; step <= 10_000; step++) {
      policy.confirmedByTime(step);
      if (!policy.mayHalfClose) continue;
      const fails = ++tried % period === 0;
      if (fails) failed++;
      policy.halfCloseEnded(fails ? unproven : well, step);
    }
    expect(failed).toBeLessThanOrEqual(11);
  });

  it('are trusted again after ten proven ones in a row', () => {
    const policy = new StreamPolicy(10);
    policy.halfCloseEnded(unproven, 0);
    for (let step = 1; step <= 10; step++) policy.halfCloseEnded(well, step);
    policy.halfCloseEnded(unproven, 11);
    expect(policy.mayHalfClose).toBe(true);
  });
});

describe('the window of a stream', () => {
  it('is one batch after two losses with nothing confirmed between, and the maximum again after confirmations', () => {
    const policy = new StreamPolicy(10, 8);
    policy.lost();
    policy.confirmed();
    policy.lost();
    expect(policy.window).toBe(8);
    policy.lost();
    expect(policy.window).toBe(1);
    const windows: number[] = [];
    while (policy.window < 8) {
      policy.confirmed();
      windows.push(policy.window);
    }
    expect(windows).toEqual([2, 4, 8]);
  });

  it('grows more slowly after each loss, so that most of what is sent is confirmed', () => {
    const policy = new StreamPolicy(10, 256);
    let [confirmed, lost] = [0, 0];
    for (let round = 0; round < 1_000; round++)
      // A collector that loses every connection which carries two batches.
      if (policy.window > 1) {
        policy.lost();
        lost += 2;
      } else {
        policy.confirmed();
        confirmed++;
      }
    policy.confirmed();
    expect(lost / confirmed).toBeLessThan(0.1);
  });

  it('asks for smaller batches if a single batch is lost too', () => {
    const policy = new StreamPolicy(10, 256);
    policy.lost();
    policy.lost();
    expect([policy.window, policy.mustNarrow]).toEqual([1, false]);
    policy.lost();
    expect(policy.mustNarrow).toBe(true);
    policy.confirmed();
    expect(policy.mustNarrow).toBe(false);
  });
});
