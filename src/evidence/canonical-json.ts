/**
 * The canonical JSON text of a value (RFC 8785): members in the order of their names' UTF-16 code units, no blanks, strings
 * and numbers as ECMAScript prints them. @throws {TypeError} for what JSON can't express, such as NaN
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${canonicalJson(name)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  const isText = typeof value !== 'string' || value.isWellFormed();
  const isNumber = typeof value !== 'number' || Number.isFinite(value);
  const text = isText && isNumber ? JSON.stringify(value) : undefined;
  if (text === undefined) throw new TypeError(`a value of type ${typeof value} has no canonical JSON`);
  return text;
}
