import type * as z from 'zod';
import { didYouMean, type Suggestion } from '../lib/did-you-mean.ts';
import { problemElsewhere } from './actions.ts';
import { explain } from './explain.ts';
import { configShape, shapesAt } from './json-schema.ts';
import { inOrder, type Path, type Problem, pathText } from './problem.ts';
import { type Config, configSchema } from './schema.ts';
import { numberOrBoolean, type Tree } from './yaml.ts';

export type Validated =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: Problem[] };

type Issue = z.core.$ZodIssue;

/** The configuration in `tree`, whose value it may change, or everything that is wrong with it. */
export function validate(tree: Tree): Validated {
  const misspelt: Problem[] = [];
  const judge = judgeOf(tree);
  for (;;) {
    // An empty message says that the definition brought no words of its own: `explain` finds them.
    const parsed = configSchema.safeParse(tree.value, { error: () => '' });
    const issues = parsed.success ? [] : judge.own(parsed.error.issues);
    const repaired = issues.map((issue) => judge.repair(issue));
    misspelt.push(...repaired.flatMap((repair) => repair?.problems ?? []));
    if (repaired.some((repair) => repair !== undefined)) continue;
    const problems = [...tree.problems, ...misspelt, ...issues.flatMap((issue) => judge.describe(issue))];
    return parsed.success && problems.length === 0
      ? { ok: true, config: parsed.data }
      : { ok: false, problems: inOrder(problems, tree.locate([]).file) };
  }
}

/** What is said of a tree's issues, and how a misspelling is read so that what hangs on it is judged in the same run. */
function judgeOf(tree: Tree) {
  const shape = configShape();
  const substituted = new Set(tree.substituted.map(id));
  const misspellings = new Map<string, string>();

  /** The path as it was written. */
  const written = (path: Path): Path =>
    path.map((step, index) => misspellings.get(id(path.slice(0, index + 1))) ?? step);
  const problem = (path: Path, message: string, part: 'key' | 'value' = 'value'): Problem => ({
    ...tree.locate(written(path), part),
    path: pathText(written(path)),
    message: tree.reword?.(message) ?? message,
  });
  const unknownKey = (path: Path, meant: Suggestion | undefined) => problem(path, `unknown key${hint(meant)}`, 'key');
  const nearestKey = (path: Path, key: string) => {
    const names = shapesAt(shape, tree.value, path).flatMap(({ properties }) => Object.keys(properties ?? {}));
    return didYouMean(key, names);
  };
  const nearestType = (path: Path) => {
    const given = partAt(tree.value, path);
    const types = shapesAt(shape, tree.value, path).map((option) => String(option.const));
    return typeof given === 'string' && given !== '' ? didYouMean(given, types) : undefined;
  };

  return {
    /** Without what follows from a value that could not be made out: that is a problem of the tree. */
    own: (issues: readonly Issue[]): Issue[] =>
      issues.filter(({ path }) => !tree.unknown.some((lost) => startsWith(written(path as Path), lost))),

    /** Reads what is meant into the tree, where that is plain; `problems` are those it hides by doing so. */
    repair(issue: Issue): { readonly problems: Problem[] } | undefined {
      const path = issue.path as Path;
      if (issue.code === 'unrecognized_keys') {
        const problems = issue.keys.flatMap((key) => {
          const meant = nearestKey(path, key);
          const around = partAt(tree.value, path);
          if (meant?.isClose !== true || !isObject(around) || Object.hasOwn(around, meant.name)) return [];
          const found = unknownKey([...path, key], meant);
          Reflect.set(around, meant.name, Reflect.get(around, key));
          Reflect.deleteProperty(around, key);
          misspellings.set(id([...path, meant.name]), key);
          return [found];
        });
        return problems.length === 0 ? undefined : { problems };
      }
      if (isSinkType(issue)) {
        const meant = nearestType(path);
        if (meant?.isClose !== true) return undefined;
        const problems = this.describe(issue);
        replaceAt(tree.value, path, meant.name);
        return { problems };
      }
      const value = partAt(tree.value, path);
      if (typeof value !== 'string' || issue.code === 'custom' || !substituted.has(id(written(path)))) return undefined;
      if (!shapesAt(shape, tree.value, path).some(({ type }) => scalars.has(type))) return undefined;
      const scalar = numberOrBoolean(value);
      if (scalar === undefined) return undefined;
      replaceAt(tree.value, path, scalar);
      return { problems: [] };
    },

    describe(issue: Issue): Problem[] {
      const path = issue.path as Path;
      const elsewhere = problemElsewhere(issue);
      if (elsewhere !== undefined) return [elsewhere];
      if (issue.code === 'unrecognized_keys')
        return issue.keys.map((key) => unknownKey([...path, key], nearestKey(path, key)));
      const message = explain(issue, partAt(tree.value, path), shapesAt(shape, tree.value, path));
      const meant = isSinkType(issue) ? nearestType(path) : undefined;
      return [problem(path, `${message}${hint(meant)}`)];
    },
  };
}

function hint(meant: Suggestion | undefined): string {
  if (meant === undefined) return '';
  return meant.isClose ? `: did you mean ${meant.name}?` : `; the nearest known one is ${meant.name}`;
}

const id = (path: Path): string => JSON.stringify(path);

const startsWith = (path: Path, start: Path): boolean => start.every((step, index) => path[index] === step);

const scalars = new Set<string | undefined>(['integer', 'number', 'boolean']);

const isSinkType = (issue: Issue) => issue.code === 'invalid_union' && issue.path.at(-1) === 'type';

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function partAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (part, step) => (isObject(part) && Object.hasOwn(part, step) ? Reflect.get(part, step) : undefined),
    value,
  );
}

function replaceAt(value: unknown, path: Path, part: unknown): void {
  const around = partAt(value, path.slice(0, -1));
  const last = path.at(-1);
  if (isObject(around) && last !== undefined) Reflect.set(around, last, part);
}
