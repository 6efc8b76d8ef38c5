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

/** Validates the configuration in `tree`, whose value it may change, and reports everything that is wrong with it. */
export function validate(tree: Tree): Validated {
  const misspelt: Problem[] = [];
  const issuesOf = issueReader(tree);
  for (;;) {
    // An empty message marks an issue without a custom message: `explain` writes one.
    const parsed = configSchema.safeParse(tree.value, { error: () => '' });
    const issues = parsed.success ? [] : issuesOf.own(parsed.error.issues);
    const repaired = issues.map((issue) => issuesOf.repair(issue));
    misspelt.push(...repaired.flatMap((repair) => repair?.problems ?? []));
    if (repaired.some((repair) => repair !== undefined)) continue;
    const problems = [...tree.problems, ...misspelt, ...issues.flatMap((issue) => issuesOf.describe(issue))];
    return parsed.success && problems.length === 0
      ? { ok: true, config: parsed.data }
      : { ok: false, problems: inOrder(problems, tree.locate([]).file) };
  }
}

/** Turns the schema's issues into problems, and corrects misspellings so that what depends on them is validated too. */
function issueReader(tree: Tree) {
  const shape = configShape();
  const substituted = new Set(tree.substituted.map(id));
  const misspellings = new Map<string, string>();

  /** The path as it is written in the file. */
  const written = (path: Path): Path =>
    path.map((step, index) => misspellings.get(id(path.slice(0, index + 1))) ?? step);
  const problem = (path: Path, message: string, part: 'key' | 'value' = 'value'): Problem => ({
    ...tree.locate(written(path), part),
    path: pathText(written(path)),
    message: tree.reword?.(message) ?? message,
  });
  const unknownKey = (path: Path, suggestion: Suggestion | undefined) =>
    problem(path, `unknown key${hint(suggestion)}`, 'key');
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
    /** Without issues that follow from an unknown value, which the tree reports. */
    own: (issues: readonly Issue[]): Issue[] =>
      issues.filter(({ path }) => !tree.unknown.some((unknown) => startsWith(written(path as Path), unknown))),

    /** Corrects the tree if the meaning is clear; `problems` are those that the correction hides. */
    repair(issue: Issue): { readonly problems: Problem[] } | undefined {
      const path = issue.path as Path;
      if (issue.code === 'unrecognized_keys') {
        const problems = issue.keys.flatMap((key) => {
          const suggestion = nearestKey(path, key);
          const block = partAt(tree.value, path);
          if (suggestion?.isClose !== true || !isObject(block) || Object.hasOwn(block, suggestion.name)) return [];
          const found = unknownKey([...path, key], suggestion);
          Reflect.set(block, suggestion.name, Reflect.get(block, key));
          Reflect.deleteProperty(block, key);
          misspellings.set(id([...path, suggestion.name]), key);
          return [found];
        });
        return problems.length === 0 ? undefined : { problems };
      }
      if (isSinkType(issue)) {
        const suggestion = nearestType(path);
        if (suggestion?.isClose !== true) return undefined;
        const problems = this.describe(issue);
        replaceAt(tree.value, path, suggestion.name);
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
      const suggestion = isSinkType(issue) ? nearestType(path) : undefined;
      return [problem(path, `${message}${hint(suggestion)}`)];
    },
  };
}

function hint(suggestion: Suggestion | undefined): string {
  if (suggestion === undefined) return '';
  return suggestion.isClose ? `: did you mean ${suggestion.name}?` : `; the nearest known one is ${suggestion.name}`;
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
  const block = partAt(value, path.slice(0, -1));
  const last = path.at(-1);
  if (isObject(block) && last !== undefined) Reflect.set(block, last, part);
}
