import { UsageError } from './command.ts';

/** Greatest id the API can have: its ids are 64-bit integers. */
const largestId = 2n ** 63n - 1n;

/** An event id from the command line; 0 is before all of them. @throws {UsageError} */
export function parseId(text: string, what: string): bigint {
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= largestId) return BigInt(text);
  throw new UsageError(`${what}: write an event id, in digits`);
}
