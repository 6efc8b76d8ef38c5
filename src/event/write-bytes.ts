/** Writes a few bytes: a call out of the engine would take longer than these loops. Each gives the offset behind. */

const zero = 0x30;

/** Copies `source` from `from` to `to` into `target` from `at` on. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, from = 0, to = source.length): number {
  let end = at;
  for (let here = from; here < to; here++) target[end++] = source[here] ?? 0;
  return end;
}

/** The last `count` decimal digits of `number`, a natural one below 2^31. */
export function writeDigits(target: Uint8Array, at: number, count: number, number: number): number {
  let rest = number;
  for (let place = at + count - 1; place >= at; place--) {
    const left = (rest / 10) | 0;
    target[place] = zero + rest - left * 10;
    rest = left;
  }
  return at + count;
}

/** A natural number below 2^31 in decimal. */
export function writeInteger(target: Uint8Array, at: number, number: number): number {
  let count = 1;
  for (let above = 10; above <= number; above *= 10) count++;
  return writeDigits(target, at, count, number);
}
