/** Comparison for loops of 100,000: `expect` costs more than all that is compared. @throws Error if they differ */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected))
    throw new Error(`${what} is ${JSON.stringify(actual)} and should be ${JSON.stringify(expected)}`);
}

/** @throws Error if the condition is false */
export function holds(what: string, condition: boolean): void {
  if (!condition) throw new Error(`${what} does not hold`);
}
