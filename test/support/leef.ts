/** A record in IBM's LEEF 2.0, read as its guide says; made without our encoder. */
export interface LeefRecord {
  readonly header: readonly string[];
  readonly attributes: ReadonlyMap<string, string>;
}

/** @throws Error if the text is not a LEEF 2.0 record on one line */
export function parseLeef(record: string): LeefRecord {
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(record)) throw new Error('a raw control character');
  if (!record.isWellFormed()) throw new Error('a lone surrogate');
  const [version, vendor, product, productVersion, eventId, delimiter, ...rest] = record.split('|');
  const header = [version, vendor, product, productVersion, eventId, delimiter];
  if (!header.every((field): field is string => field !== undefined && field !== ''))
    throw new Error('an empty header field');
  if (delimiter === undefined || delimiter.length !== 1) throw new Error('a delimiter that is no single character');
  const attributes = new Map<string, string>();
  for (const pair of rest.join('|').split(delimiter)) {
    const at = pair.indexOf('=');
    const [key, value] = [pair.slice(0, at), pair.slice(at + 1)];
    if (!/^[A-Za-z0-9]+$/.test(key) || value === '') throw new Error(`no pair of key and value: ${pair}`);
    if (attributes.has(key)) throw new Error(`${key} stands twice`);
    attributes.set(key, value);
  }
  return { header, attributes };
}
