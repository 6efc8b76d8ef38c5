import * as z from 'zod';
import type { Path } from './problem.ts';
import { configSchema } from './schema.ts';

/** The part of JSON Schema that this configuration uses. */
export interface Shape {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | false;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

/** The schema of the configuration file before `${…}` is replaced. */
export function configShape(): Shape {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // zod adds the bounds of a safe integer to every integer.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  }) as Shape;
}

const environment = {
  title: 'From the environment',
  type: 'string',
  pattern: '^\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}$',
};

/** Options of a plug-in, by the name that `use` has. */
export interface PluginSchema {
  readonly use: string;
  readonly options: object;
}

/**
 * JSON Schema (draft 2020-12) of the configuration file, for editors; any single value may be a `${NAME}`. With `plugins` an
 * entry that uses one of them has that one's options.
 */
export function configJsonSchema(plugins: readonly PluginSchema[] = []): object {
  const shape = orEnvironment(configShape());
  const { sinks } = shape.properties ?? {};
  const entries = sinks?.items?.oneOf?.flatMap((entry) => withPlugins(entry, plugins));
  const properties = {
    ...shape.properties,
    ...(sinks && entries && { sinks: { ...sinks, items: { oneOf: entries } } }),
  };
  return { ...shape, ...(plugins.length > 0 && { properties }), $defs: { environment } };
}

function withPlugins(entry: Shape, plugins: readonly PluginSchema[]): object[] {
  const { properties = {} } = entry;
  if (properties.type?.const !== 'plugin') return [entry];
  const known = plugins.map(({ use, options }) => ({
    ...entry,
    properties: { ...properties, use: { const: use }, options },
  }));
  const others = { ...properties.use, not: { enum: plugins.map(({ use }) => use) } };
  return [...known, { ...entry, properties: { ...properties, use: others } }];
}

function orEnvironment(shape: Shape): Shape {
  const { anyOf, oneOf, properties, additionalProperties, items } = shape;
  if (shape.const !== undefined) return shape;
  const inner: Shape = {
    ...shape,
    ...(properties && { properties: mapped(properties) }),
    ...(additionalProperties && { additionalProperties: orEnvironment(additionalProperties) }),
    ...(items && { items: orEnvironment(items) }),
    ...(oneOf && { oneOf: oneOf.map(orEnvironment) }),
  };
  const single = properties === undefined && items === undefined && oneOf === undefined && shape.type !== 'object';
  if (!single || [shape, ...(anyOf ?? [])].some(takesAnyText)) return inner;
  const { description, default: preset, ...rest } = inner;
  return {
    ...(description !== undefined && { description }),
    ...(preset !== undefined && { default: preset }),
    anyOf: [...(anyOf ?? [rest]), { $ref: '#/$defs/environment' } as Shape],
  };
}

const takesAnyText = ({ type, enum: choice, pattern, ...rest }: Shape) =>
  type === 'string' && choice === undefined && pattern === undefined && rest.const === undefined;

const mapped = (shapes: Readonly<Record<string, Shape>>): Record<string, Shape> =>
  Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, orEnvironment(shape)]));

/** The schemas for the part of `value` at `path`; for a sink, those of its type. */
export function shapesAt(root: Shape, value: unknown, path: Path): Shape[] {
  let shapes = alternatives(root, value);
  let part = value;
  for (const step of path) {
    part = typeof part === 'object' && part !== null ? Reflect.get(part, step) : undefined;
    shapes = shapes.flatMap((shape) => {
      const next = typeof step === 'number' ? shape.items : member(shape, step);
      return next === undefined ? [] : alternatives(next, part);
    });
  }
  return shapes;
}

function member(shape: Shape, key: string): Shape | undefined {
  if (shape.properties !== undefined && Object.hasOwn(shape.properties, key)) return shape.properties[key];
  return shape.additionalProperties === false ? undefined : shape.additionalProperties;
}

function alternatives(shape: Shape, value: unknown): Shape[] {
  if (shape.anyOf !== undefined) return [...shape.anyOf];
  if (shape.oneOf === undefined) return [shape];
  const type = typeof value === 'object' && value !== null ? Reflect.get(value, 'type') : undefined;
  const chosen = shape.oneOf.filter((option) => option.properties?.['type']?.const === type);
  return chosen.length > 0 ? chosen : [...shape.oneOf];
}
