import { printable } from '../lib/printable.ts';

export type Path = readonly (string | number)[];

/** Where a setting stands: in a file (line and column from 1), in a variable, or in a file as a whole. */
export interface Location {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly variable?: string;
}

/** One mistake in the configuration. No member ever holds a setting's value, so none can hold a secret. */
export interface Problem extends Location {
  /** For example `sinks[0].url`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** `FILE:LINE:COL: path: message`, or `VARIABLE: path: message`; one printable line. */
export function formatProblem({ file, line, column, variable, path, message }: Problem): string {
  const place = [file ?? variable, line, column].filter((part) => part !== undefined).join(':');
  return printable([place, path, message].filter((part) => part !== '').join(': '), 4096);
}

/** A path as people write it. A key that might be a misplaced secret is left out: the position says enough. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!isShowable(part)) return `${text}[…]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** Whether a key from outside may be shown: words and globs may, what looks like a token may not. */
export const isShowable = (key: string): boolean => /^[A-Za-z_*.-]{1,24}(256)?$/.test(key);

/** By file, then by position; doubles removed (an alias brings the same mistake several times). */
export function inOrder(problems: readonly Problem[], mainFile: string | undefined): Problem[] {
  const seen = new Set<string>();
  return problems
    .filter(({ file, line, column, variable, path, message }) => {
      const key = JSON.stringify([file, line, column, variable, path.split('.').at(-1), message]);
      return !seen.has(key) && seen.add(key);
    })
    .sort(
      (a, b) =>
        rank(a, mainFile) - rank(b, mainFile) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
    );
}

/** What stands in a file that the configuration names comes last. */
const rank = ({ file }: Problem, mainFile: string | undefined) => (file === undefined || file === mainFile ? 0 : 1);
