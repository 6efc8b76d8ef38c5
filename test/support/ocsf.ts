import type { OcsfAttribute, OcsfSchema, OcsfShape } from './schema-data.ts';

type Plain = Readonly<Record<string, unknown>>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is wrong with a record by the compiled schema: attributes, types, enums, constraints, uids. Empty: valid. */
export function ocsfProblems(schema: OcsfSchema, record: unknown): string[] {
  if (!isPlain(record)) return ['the record is no object'];
  const found = Object.values(schema.classes).find((shape) => shape.class_uid === record['class_uid']);
  if (found === undefined) return [`no class has the uid ${record['class_uid']}`];
  const problems: string[] = [];
  if (record['category_uid'] !== found.category_uid) problems.push('category_uid is not the class’s');
  if (record['type_uid'] !== found.class_uid * 100 + Number(record['activity_id'])) problems.push('type_uid');
  const metadata = record['metadata'];
  const profiles = isPlain(metadata) && Array.isArray(metadata['profiles']) ? metadata['profiles'].map(String) : [];
  if (isPlain(metadata) && metadata['version'] !== schema.version) problems.push('metadata.version');
  checkShape(schema, found, record, '', profiles, problems);
  return problems;
}

function checkShape(
  schema: OcsfSchema,
  shape: OcsfShape,
  value: Plain,
  path: string,
  profiles: string[],
  problems: string[],
) {
  for (const [name, attribute] of Object.entries(shape.attributes)) {
    const applies = attribute.profile === undefined || profiles.includes(attribute.profile);
    if (applies && attribute.requirement === 'required' && !Object.hasOwn(value, name))
      problems.push(`${path}${name} is missing`);
  }
  for (const [name, item] of Object.entries(value)) {
    const attribute = Object.hasOwn(shape.attributes, name) ? shape.attributes[name] : undefined;
    if (attribute === undefined) problems.push(`${path}${name} is no attribute`);
    else if (attribute.profile !== undefined && !profiles.includes(attribute.profile))
      problems.push(`${path}${name} belongs to profile ${attribute.profile}`);
    else checkAttribute(schema, attribute, item, `${path}${name}`, profiles, problems);
  }
  const { at_least_one: some, just_one: one } = shape.constraints ?? {};
  const count = (names: readonly string[]) => names.filter((name) => Object.hasOwn(value, name)).length;
  if (some !== undefined && count(some) === 0) problems.push(`${path} needs one of ${some.join(', ')}`);
  if (one !== undefined && count(one) !== 1) problems.push(`${path} needs exactly one of ${one.join(', ')}`);
}

function checkAttribute(
  schema: OcsfSchema,
  attribute: OcsfAttribute,
  value: unknown,
  path: string,
  profiles: string[],
  problems: string[],
) {
  const items = attribute.array ? value : [value];
  if (!Array.isArray(items)) return void problems.push(`${path} is no array`);
  for (const item of items as unknown[]) {
    if (attribute.object !== undefined) {
      const shape = schema.objects[attribute.object];
      if (!isPlain(item)) problems.push(`${path} is no object`);
      else if (attribute.object === 'object') continue;
      else if (shape === undefined) problems.push(`${path} is not in the compiled schema`);
      else checkShape(schema, shape, item, `${path}.`, profiles, problems);
      continue;
    }
    checkType(schema, attribute.type, item, path, problems);
    // The compiled schema leaves the uids of class and category at those of the base event: they are checked above.
    if (
      attribute.enum !== undefined &&
      !/^(class|category)_uid$/.test(path) &&
      !Object.hasOwn(attribute.enum, String(item))
    )
      problems.push(`${path} is none of its values: ${item}`);
  }
}

function checkType(schema: OcsfSchema, name: string, value: unknown, path: string, problems: string[]): void {
  const type = schema.types[name];
  const base = type?.type ?? name;
  if (base === 'integer_t' || base === 'long_t') {
    if (!Number.isSafeInteger(value)) problems.push(`${path} is no integer`);
  } else if (base === 'string_t') {
    if (typeof value !== 'string' || value === '') problems.push(`${path} is no text`);
    else if (type?.regex !== undefined && !new RegExp(type.regex).test(value)) problems.push(`${path} is no ${name}`);
    else if (type?.max_len !== undefined && value.length > type.max_len) problems.push(`${path} is too long`);
  } else if (base === 'boolean_t' && typeof value !== 'boolean') problems.push(`${path} is no boolean`);
}
