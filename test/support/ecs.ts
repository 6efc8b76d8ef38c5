import { isIP } from 'node:net';
import type { EcsSchema } from './schema-data.ts';

/** What is wrong with a record by ECS: names, types, arrays, allowed values. What is under `own` is ours. Empty: valid. */
export function ecsProblems(schema: EcsSchema, record: object, own = 'qasphere'): string[] {
  const problems: string[] = [];
  for (const [path, value] of leavesOf(record, '', own)) {
    const field = schema.fields[path];
    if (field === undefined) {
      problems.push(`${path} is no field of ECS`);
      continue;
    }
    const items = Array.isArray(value) ? (value as unknown[]) : [value];
    if (Array.isArray(value) !== (field.array ?? false))
      problems.push(`${path} is${field.array ? ' no' : ' an'} array`);
    for (const item of items)
      if (!isOfType(field.type, item)) problems.push(`${path} is no ${field.type}: ${String(item)}`);
    const allowed = schema.allowed[path];
    if (allowed !== undefined)
      for (const item of items) if (!Object.hasOwn(allowed, String(item))) problems.push(`${path} may not be ${item}`);
  }
  const { event } = record as { event?: { category?: string[]; type?: string[] } };
  const expected = (event?.category ?? []).flatMap((name) => schema.allowed['event.category']?.[name] ?? []);
  for (const type of event?.type ?? [])
    if (!expected.includes(type)) problems.push(`event.type ${type} is not expected`);
  return problems;
}

function* leavesOf(value: object, path: string, own: string): Generator<[string, unknown]> {
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    if (path === '' && name === own) continue;
    if (typeof item === 'object' && item !== null && !Array.isArray(item))
      yield* leavesOf(item, `${path}${name}.`, own);
    else yield [`${path}${name}`, item];
  }
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'date') return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
  if (type === 'ip') return typeof value === 'string' && isIP(value) !== 0 && !value.includes('%');
  if (type === 'long') return Number.isSafeInteger(value);
  return typeof value === 'string' && value !== '';
}
