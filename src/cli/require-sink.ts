import { nearest } from '../config/explain.ts';
import { printable } from '../lib/printable.ts';
import { sinkName } from '../sinks/common-options.ts';

/** What the command line asks for can't be done as things stand, or names no sink: exit code 64. */
export class Misuse extends Error {
  override readonly name = 'Misuse';
}

/** Gives `name` back where it is one of `known`. @throws {Misuse} naming the nearest, where it is not */
export function demandSink(name: string, known: readonly string[]): string {
  if (known.includes(name)) return name;
  const meant = nearest(name, known);
  if (meant === undefined) throw new Misuse(`there is no sink ${quoted(name)}: no sink has a checkpoint`);
  const hint = meant.plain ? `did you mean ${meant.name}?` : `known are ${[...known].sort().join(', ')}`;
  throw new Misuse(`there is no sink ${quoted(name)}: ${hint}`);
}

/** @throws {Misuse} where `name` is none that a sink can have */
export function demandName(name: string): void {
  const parsed = sinkName.safeParse(name);
  if (!parsed.success) throw new Misuse(`${quoted(name)} is no name of a sink: ${parsed.error.issues[0]?.message}`);
}

export const quoted = (text: string) => `"${printable(text, 63)}"`;
