import { describe, expect, it } from 'vitest';
import type { IdRange } from '../../../src/event/id-ranges.ts';
import { AckCircuitBreaker, durationText } from '../../../src/sinks/splunk-hec/ack-circuit-breaker.ts';

const hour = 3_600_000;
const fiveMinutes = 300_000;
const ids = (from: bigint, to = from): readonly IdRange[] => [[from, to]];

/** A breaker and its clock. */
function breakerAt(ackTimeoutMs = fiveMinutes) {
  let nowMs = 1_000;
  const breaker = new AckCircuitBreaker(ackTimeoutMs, () => nowMs);
  return {
    breaker,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** Opens it with the batch from id 1. */
    open: () => {
      breaker.onTimeout(ids(1n), 'silence');
      return breaker.onTimeout(ids(1n), 'silence');
    },
  };
}

describe('the acknowledgement circuit breaker', () => {
  it('has a batch sent again at once the first time, and blocks nothing', () => {
    const { breaker } = breakerAt();
    expect(breaker.onTimeout(ids(1n), 'silence')).toEqual({
      kind: 'retry',
      reason: 'timeout',
      detail: 'silence; sent again, so it may come twice',
    });
    expect(breaker.onTimeout(ids(2n), 'silence')).not.toHaveProperty('afterMs');
    expect(breaker.blockedBy(true)).toBeUndefined();
  });

  it('waits between probe batches from ackTimeout to an hour, doubling', () => {
    const { breaker, pass, open } = breakerAt();
    const waits: number[] = [];
    for (let verdict = open(); waits.length < 7; verdict = breaker.onTimeout(ids(1n), 'silence')) {
      const { afterMs = 0 } = verdict;
      waits.push(afterMs);
      pass(afterMs - 1);
      expect(breaker.blockedBy(false)).toMatchObject({ afterMs: 1 });
      pass(1);
      expect(breaker.blockedBy(false)).toBeUndefined();
      breaker.onSent(ids(1n));
      expect(breaker.blockedBy(true)).toMatchObject({ kind: 'retry' });
    }
    expect(waits).toEqual([1, 2, 4, 8].map((factor) => factor * fiveMinutes).concat(hour, hour, hour));
  });

  it('never waits less than an ackTimeout above an hour', () => {
    const { breaker, open } = breakerAt(2 * hour);
    expect(open().afterMs).toBe(2 * hour);
    expect(breaker.onTimeout(ids(1n), 'silence').afterMs).toBe(2 * hour);
  });

  it('closes with the acknowledgement of the probe batch, and of no other', () => {
    const { breaker } = breakerAt();
    for (let time = 0; time < 2; time++) breaker.onTimeout(ids(1n, 9n), 'silence');
    breaker.onAcked(ids(10n, 19n));
    expect(breaker.blockedBy(false)).toBeDefined();
    breaker.onAcked(ids(1n, 9n));
    expect(breaker.blockedBy(false)).toBeUndefined();
    expect(breaker.onTimeout(ids(1n, 9n), 'silence')).not.toHaveProperty('afterMs');
  });

  it('closes, and forgets every failure, when delivery has another proof', () => {
    const { breaker, open } = breakerAt();
    open();
    breaker.reset();
    expect(breaker.blockedBy(false)).toBeUndefined();
    expect(breaker.onTimeout(ids(1n), 'silence')).not.toHaveProperty('afterMs');
  });

  it('recognises a batch that is cut differently when it is sent again', () => {
    const { breaker } = breakerAt();
    breaker.onTimeout(ids(5n, 9n), 'silence');
    expect(breaker.onTimeout(ids(1n, 20n), 'silence')).toHaveProperty('afterMs', fiveMinutes);
    expect(breaker.onTimeout(ids(1n, 3n), 'silence')).toHaveProperty('afterMs', 2 * fiveMinutes);
  });

  it('takes whichever batch is sent as the probe, waits for it, and waits longer if it stays unacknowledged', () => {
    const { breaker, pass, open } = breakerAt();
    open();
    pass(fiveMinutes);
    breaker.onSent(ids(3n));
    expect(breaker.blockedBy(true)).toBeDefined();
    expect(breaker.onTimeout(ids(3n), 'silence')).toHaveProperty('afterMs', 2 * fiveMinutes);
    pass(2 * fiveMinutes);
    expect(breaker.blockedBy(false)).toBeUndefined();
    breaker.onSent(ids(4n));
    breaker.onAcked(ids(4n));
    expect(breaker.blockedBy(false)).toBeUndefined();
  });

  it('names the causes, not a repetition, for a batch that was sent before it opened', () => {
    const { breaker, open } = breakerAt();
    open();
    const { detail, afterMs } = breaker.onTimeout(ids(8n), 'silence');
    expect(detail).toMatch(/sticky sessions.*Splunk Cloud.*replication.*nothing new is sent/);
    expect(afterMs).toBe(fiveMinutes);
  });

  it.each([
    ['is closed', 0],
    ['is open', 1],
    ['waits for a probe batch', 2],
  ])('never blocks for good when it %s and any batch stays unacknowledged', (_, state) => {
    const { breaker, pass, open } = breakerAt();
    if (state > 0) open();
    if (state > 1) breaker.onSent(ids(3n));
    for (const id of [1n, 2n, 3n, 2n, 1n, 3n]) breaker.onTimeout(ids(id), 'silence');
    pass(hour);
    expect(breaker.blockedBy(false)).toBeUndefined();
  });

  it('remembers the failures of a bounded number of batches', () => {
    const { breaker } = breakerAt();
    for (let id = 0n; id < 10_000n; id++) breaker.onTimeout(ids(id), 'silence');
    expect(breaker.onTimeout(ids(0n), 'silence')).not.toHaveProperty('afterMs');
    expect(breaker.onTimeout(ids(9_999n), 'silence')).toHaveProperty('afterMs');
  });
});

describe('durationText', () => {
  it.each([
    [60, '60 ms'],
    [1_000, '1 s'],
    [60_000, '60 s'],
    [300_000, '5 min'],
    [hour, '60 min'],
  ])('writes %i ms as %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });
});
