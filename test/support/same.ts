/** Comparison for loops of 100,000: `expect` costs more than all that is compared. @throws Error where they differ */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected))
    throw new Error(`${what} is ${JSON.stringify(actual)} and should be ${JSON.stringify(expected)}`);
}

/** @throws Error where it does not hold */
export function holds(what: string, condition: boolean): void {
  if (!condition) throw new Error(`${what} does not hold`);
}
