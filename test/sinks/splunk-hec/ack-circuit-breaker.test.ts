import { describe, expect, it } from 'vitest';
import {
  AckCircuitBreaker,
  inWords,
  type Ranges,
  rangesOf,
} from '../../../src/sinks/splunk-hec/ack-circuit-breaker.ts';
import { batchOf, recordOf, textOf } from '../../support/sink-parts.ts';

const hour = 3_600_000;
const five = 300_000;
const ids = (from: bigint, to = from): Ranges => [[from, to]];

function doubting(ackTimeoutMs = five) {
  let now = 1_000;
  const doubt = new AckCircuitBreaker(ackTimeoutMs, () => now);
  return {
    doubt,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('the doubt about acknowledgements', () => {
  it('holds nothing back after a first time', () => {
    const { doubt } = doubting();
    expect(doubt.struck(ids(1n), 'silence')).toEqual({
      kind: 'retry',
      reason: 'timeout',
      detail: 'silence; sent again, so it may come twice',
    });
    expect(doubt.struck(ids(2n), 'silence')).not.toHaveProperty('afterMs');
    expect(doubt.holds()).toBeUndefined();
  });

  it('waits from ackTimeout to an hour, doubling', () => {
    const { doubt, pass } = doubting();
    doubt.struck(ids(1n), 'silence');
    const waits = [];
    for (let time = 0; time < 7; time++) {
      const { afterMs = 0 } = doubt.struck(ids(1n), 'silence');
      waits.push(afterMs);
      pass(afterMs - 1);
      expect(doubt.holds()).toMatchObject({ afterMs: 1 });
      pass(1);
      expect(doubt.holds()).toBeUndefined();
      doubt.waits(ids(1n));
      expect(doubt.holds()).toMatchObject({ kind: 'retry' });
    }
    expect(waits).toEqual([five, 2 * five, 4 * five, 8 * five, hour, hour, hour]);
  });

  it('never waits less than an ackTimeout that is beyond an hour', () => {
    const { doubt } = doubting(2 * hour);
    doubt.struck(ids(1n), 'silence');
    expect(doubt.struck(ids(1n), 'silence').afterMs).toBe(2 * hour);
    expect(doubt.struck(ids(1n), 'silence').afterMs).toBe(2 * hour);
  });

  it('ends with the acknowledgement of the suspect, and only of it', () => {
    const { doubt } = doubting();
    for (let time = 0; time < 2; time++) doubt.struck(ids(1n, 9n), 'silence');
    doubt.cleared(ids(10n, 19n));
    expect(doubt.holds()).toBeDefined();
    doubt.cleared(ids(1n, 9n));
    expect(doubt.holds()).toBeUndefined();
    expect(doubt.struck(ids(1n, 9n), 'silence')).not.toHaveProperty('afterMs');
  });

  it('knows a batch again that was cut otherwise', () => {
    const { doubt } = doubting();
    doubt.struck(ids(5n, 9n), 'silence');
    expect(doubt.struck(ids(1n, 20n), 'silence')).toHaveProperty('afterMs', five);
    expect(doubt.struck(ids(1n, 3n), 'silence')).toHaveProperty('afterMs', 2 * five);
  });

  it('lets one batch alone be sent at its time, whichever comes first', () => {
    const { doubt, pass } = doubting();
    for (let time = 0; time < 2; time++) doubt.struck(ids(7n), 'silence');
    pass(five);
    doubt.waits(ids(3n));
    expect(doubt.holds()).toBeDefined();
    expect(doubt.struck(ids(8n), 'silence')).not.toHaveProperty('afterMs');
    expect(doubt.holds()).toBeDefined();
    doubt.cleared(ids(3n));
    expect(doubt.holds()).toBeUndefined();
  });

  it('remembers a bounded number of batches', () => {
    const { doubt } = doubting();
    for (let id = 0n; id < 100_000n; id++) doubt.struck(ids(id), 'silence');
    expect(doubt.struck(ids(0n), 'silence')).not.toHaveProperty('afterMs');
    expect(doubt.struck(ids(99_999n), 'silence')).toHaveProperty('afterMs');
  });
});

describe('rangesOf', () => {
  it('has no hole inside a range', () => {
    expect(rangesOf(batchOf(1, 1000))).toEqual([[1n, 1000n]]);
    const records = [1, 2, 4, 7, 8, 9].map((id) => recordOf(textOf(id)));
    expect(rangesOf({ records })).toEqual([
      [1n, 2n],
      [4n, 4n],
      [7n, 9n],
    ]);
  });
});

describe('inWords', () => {
  it.each([
    [60, '60 ms'],
    [1_000, '1 s'],
    [60_000, '60 s'],
    [300_000, '5 min'],
    [hour, '60 min'],
  ])('says %i ms as %s', (ms, text) => {
    expect(inWords(ms)).toBe(text);
  });
});
