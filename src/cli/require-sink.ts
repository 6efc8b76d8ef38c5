import { didYouMean } from '../lib/did-you-mean.ts';
import { printable } from '../lib/printable.ts';
import { sinkName } from '../sinks/common-options.ts';
import { UsageError } from './command.ts';

/** Gives `name` back where it is one of `known`. @throws {UsageError} naming the nearest, where it is not */
export function requireSink(name: string, known: readonly string[]): string {
  if (known.includes(name)) return name;
  const meant = didYouMean(name, known);
  if (meant === undefined) throw new UsageError(`there is no sink ${quoted(name)}: no sink has a checkpoint`);
  const hint = meant.isClose ? `did you mean ${meant.name}?` : `known are ${[...known].sort().join(', ')}`;
  throw new UsageError(`there is no sink ${quoted(name)}: ${hint}`);
}

/** @throws {UsageError} where `name` is none that a sink can have */
export function requireSinkName(name: string): void {
  const parsed = sinkName.safeParse(name);
  if (!parsed.success) throw new UsageError(`${quoted(name)} is no name of a sink: ${parsed.error.issues[0]?.message}`);
}

export const quoted = (text: string) => `"${printable(text, 63)}"`;
