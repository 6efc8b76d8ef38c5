import { printable } from '../lib/printable.ts';

export type Path = readonly (string | number)[];

/** Where a setting comes from: a file (line and column from 1), or an environment variable. */
export interface Location {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly variable?: string;
}

/** One mistake in the configuration. No member contains a setting's value, so none can contain a secret. */
export interface Problem extends Location {
  /** For example `sinks[0].url`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

/** `FILE:LINE:COL: path: message`, or `VARIABLE: path: message`; one printable line. */
export function formatProblem({ file, line, column, variable, path, message }: Problem): string {
  const place = [file ?? variable, line, column].filter((part) => part !== undefined).join(':');
  return printable([place, path, message].filter((part) => part !== '').join(': '), 4096);
}

/** A path in the usual notation. A key that may be a misplaced secret is omitted: the position is enough. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!isShowable(part)) return `${text}[…]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** Whether a key may be shown: words and globs may; what looks like a token may not. */
const isShowable = (key: string): boolean => /^[A-Za-z_*.-]{1,24}(256)?$/.test(key);

/** Sorted by file, then by position, without duplicates (an alias repeats the same mistake). */
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

/** Problems in other files that the configuration names come last. */
const rank = ({ file }: Problem, mainFile: string | undefined) => (file === undefined || file === mainFile ? 0 : 1);
