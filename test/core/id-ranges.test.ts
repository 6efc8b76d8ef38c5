import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdRanges } from '../../src/core/id-ranges.ts';

const id = fc.bigInt({ min: 1n, max: 60n });
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), id }),
  fc.record({ do: fc.constant('delete' as const), id }),
  fc.record({ do: fc.constant('dropUpTo' as const), id }),
);

describe('a set of id ranges', () => {
  it('holds what a plain set would hold, in as few ranges as can be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const ranges = new IdRanges();
        let plain = new Set<bigint>();
        for (const { do: what, id } of steps) {
          ranges[what](id);
          if (what === 'add') plain.add(id);
          else if (what === 'delete') plain.delete(id);
          else plain = new Set([...plain].filter((other) => other > id));
        }
        const held: bigint[] = [];
        let before: bigint | undefined;
        for (const [from, to] of ranges.toArray()) {
          expect(to).toBeGreaterThanOrEqual(from);
          if (before !== undefined) expect(from).toBeGreaterThan(before + 1n);
          before = to;
          for (let i = from; i <= to; i++) held.push(i);
        }
        expect(held).toEqual([...plain].sort((a, b) => (a < b ? -1 : 1)));
        expect(ranges.size).toBe(plain.size);
        for (let i = 0n; i <= 61n; i++) expect(ranges.has(i)).toBe(plain.has(i));
        expect(ranges.last).toBe(held.at(-1));
      }),
      { numRuns: 500 },
    );
  });

  it('comes back from its array as it was', () => {
    const ranges = IdRanges.of([
      [1n, 3n],
      [9n, 9n],
    ]);
    expect(ranges.size).toBe(4);
    expect(ranges.toArray()).toEqual([
      [1n, 3n],
      [9n, 9n],
    ]);
  });
});
