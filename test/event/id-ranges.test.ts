import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdRanges } from '../../src/event/id-ranges.ts';

const id = fc.bigInt({ min: 1n, max: 60n });
/** Ids that follow one another, but for holes. */
const stretch = fc
  .tuple(id, fc.array(fc.boolean(), { maxLength: 20 }))
  .map(([from, holes]) => holes.map((_, index) => from + BigInt(index)).filter((_, index) => holes[index]));
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), id }),
  fc.record({ do: fc.constant('delete' as const), id }),
  fc.record({ do: fc.constant('takeUpTo' as const), id }),
  fc.record({ do: fc.constantFrom('addAll' as const, 'deleteAll' as const), ids: fc.oneof(fc.array(id), stretch) }),
);

describe('a set of id ranges', () => {
  it('holds what a plain set would hold, in as few ranges as can be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const ranges = new IdRanges();
        let plain = new Set<bigint>();
        for (const step of steps) {
          if ('ids' in step) {
            ranges[step.do](step.ids);
            for (const id of step.ids) plain[step.do === 'addAll' ? 'add' : 'delete'](id);
          } else {
            ranges[step.do](step.id);
            if (step.do === 'add') plain.add(step.id);
            else if (step.do === 'delete') plain.delete(step.id);
            else plain = new Set([...plain].filter((other) => other > step.id));
          }
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
        for (let i = 0n; i <= 81n; i++) {
          expect(ranges.has(i)).toBe(plain.has(i));
          let end = i;
          while (plain.has(end + 1n)) end++;
          expect(ranges.endBehind(i)).toBe(plain.has(i) ? end : undefined);
          expect(ranges.lastBelow(i)).toBe(held.findLast((other) => other < i));
          expect(ranges.idsAbove(i)).toBe(held.filter((other) => other > i).length);
        }
        expect([ranges.first, ranges.last]).toEqual([held.at(0), held.at(-1)]);
      }),
      { numRuns: 500 },
    );
  });

  it('distinguishes neighbours beyond 2^53', () => {
    const far = 2n ** 60n;
    const ranges = new IdRanges();
    ranges.addAll([far, far + 1n, far + 3n, -far, -far + 2n]);
    expect(ranges.toArray()).toEqual([
      [-far, -far],
      [-far + 2n, -far + 2n],
      [far, far + 1n],
      [far + 3n, far + 3n],
    ]);
    ranges.deleteAll([far, far + 1n]);
    expect(ranges.size).toBe(3);
    expect(ranges.has(far + 1n)).toBe(false);
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
