import fc from 'fast-check';
import { expect, it } from 'vitest';
import { copyBytes, writeDigits, writeInteger } from '../../src/event/write-bytes.ts';

const written = (write: (target: Uint8Array) => number) => {
  const target = Buffer.alloc(40, '#');
  const end = write(target);
  expect(target[end]).toBe(0x23);
  return target.toString('latin1', 0, end);
};

it('writes natural numbers as they are read', () => {
  const number = fc.oneof(fc.nat(2 ** 31 - 1), fc.constantFrom(0, 9, 10, 99, 100, 999_999_999, 1_000_000_000));
  fc.assert(
    fc.property(number, fc.nat(5), (number, at) => {
      const before = '#'.repeat(at);
      expect(written((target) => writeInteger(target, at, number))).toBe(`${before}${number}`);
      expect(written((target) => writeDigits(target, at, 12, number))).toBe(before + String(number).padStart(12, '0'));
    }),
  );
});

it('copies a part and nothing else', () => {
  const source = Buffer.from('abcdef');
  expect(written((target) => copyBytes(target, 2, source, 1, 4))).toBe('##bcd');
  expect(written((target) => copyBytes(target, 0, source))).toBe('abcdef');
});
