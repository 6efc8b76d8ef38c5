import type * as z from 'zod';
import type { Shape } from './json-schema.ts';

type Issue = z.core.$ZodIssue;

/** What is wrong, in words; never quotes the value. `shapes` are the schemas that would be valid there. */
export function explain(issue: Issue, value: unknown, shapes: readonly Shape[]): string {
  if (issue.message !== '') return issue.message;
  const closed = shapes.length > 0 && shapes.every((shape) => shape.const !== undefined || shape.enum !== undefined);
  if (value === undefined) return closed ? `is missing: it must be ${expectation(shapes)}` : 'is missing';
  if (value === '') return 'must not be empty';
  if (issue.code === 'too_small' && issue.origin === 'array') return `must have at least ${issue.minimum}`;
  if (issue.code === 'too_big' && issue.origin === 'array') return `must have at most ${issue.maximum}`;
  if (issue.code === 'invalid_key') return 'has a key that is not allowed';
  const expected = `must be ${expectation(shapes)}`;
  return value === null ? `has no value: it ${expected}; or remove the key` : expected;
}

function expectation(shapes: readonly Shape[]): string {
  const words = shapes.flatMap((shape) => {
    if (shape.const !== undefined) return [String(shape.const)];
    if (shape.enum !== undefined) return shape.enum.map(String);
    if (shape.type === 'integer' || shape.type === 'number') return [number(shape)];
    return kinds[shape.type ?? ''] ?? ['something else'];
  });
  const unique = [...new Set(words)];
  const last = unique.pop();
  return unique.length === 0 ? String(last) : `${unique.join(', ')} or ${last}`;
}

const kinds: Readonly<Record<string, readonly string[]>> = {
  string: ['text'],
  boolean: ['true', 'false'],
  object: ['a map of keys'],
  array: ['a list'],
};

function number({ type, minimum, maximum, exclusiveMinimum }: Shape): string {
  const noun = type === 'integer' ? 'a whole number' : 'a number';
  const low =
    minimum !== undefined ? `from ${minimum}` : exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : '';
  const high = maximum === undefined ? '' : minimum === undefined ? `up to ${maximum}` : `to ${maximum}`;
  return [noun, low, high].filter((part) => part !== '').join(' ');
}
