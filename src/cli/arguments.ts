import { didYouMean } from '../lib/did-you-mean.ts';
import { printable } from '../lib/printable.ts';
import { sinkName } from '../sinks/common-options.ts';
import { UsageError } from './command.ts';

/** @throws {UsageError} if `name` is not in `known`; the message suggests the nearest name */
export function requireSink(name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const meant = didYouMean(name, known);
  if (meant === undefined) throw new UsageError(`there is no sink ${quoted(name)}: no sink has a checkpoint`);
  const hint = meant.isClose ? `did you mean ${meant.name}?` : `the sinks are ${[...known].sort().join(', ')}`;
  throw new UsageError(`there is no sink ${quoted(name)}: ${hint}`);
}

/** @throws {UsageError} if `name` is not a valid name of a sink */
export function requireSinkName(name: string): void {
  const parsed = sinkName.safeParse(name);
  if (!parsed.success)
    throw new UsageError(`${quoted(name)} is not a valid sink name: ${parsed.error.issues[0]?.message}`);
}

export const quoted = (text: string) => `"${printable(text, 63)}"`;

/** The API's ids are 64-bit integers. */
const maxId = 2n ** 63n - 1n;

/** An event id from the command line; 0 is before all events. @throws {UsageError} */
export function parseId(text: string, what: string): bigint {
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= maxId) return BigInt(text);
  throw new UsageError(`${what}: write an event id, in digits`);
}
