import { nearest } from '../config/explain.ts';
import { printable } from '../core/printable.ts';
import { sinkName } from '../sink/entry.ts';

/** A name on the command line that is no sink's, or may not be given to one: exit code 64. */
export class NameProblem extends Error {
  override readonly name = 'NameProblem';
}

/** Gives `name` back where it is one of `known`. @throws {NameProblem} naming the nearest, where it is not */
export function demandSink(name: string, known: readonly string[]): string {
  if (known.includes(name)) return name;
  const meant = nearest(name, known);
  if (meant === undefined) throw new NameProblem(`there is no sink ${quoted(name)}: no sink has a checkpoint`);
  const hint = meant.plain ? `did you mean ${meant.name}?` : `known are ${[...known].sort().join(', ')}`;
  throw new NameProblem(`there is no sink ${quoted(name)}: ${hint}`);
}

/** @throws {NameProblem} where `name` is none that a sink can have */
export function demandName(name: string): void {
  const parsed = sinkName.safeParse(name);
  if (!parsed.success)
    throw new NameProblem(`${quoted(name)} is no name of a sink: ${parsed.error.issues[0]?.message}`);
}

export const quoted = (text: string) => `"${printable(text, 63)}"`;
