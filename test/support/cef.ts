/** A record in the Common Event Format, read as the CEF Implementation Standard says; made without our encoder. */
export interface CefRecord {
  readonly header: readonly string[];
  readonly extension: ReadonlyMap<string, string>;
  /** The raw values in the record, including escapes. */
  readonly escaped: ReadonlyMap<string, string>;
}

/** @throws Error if the text is not a CEF record on one line */
export function parseCef(record: string): CefRecord {
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(record)) throw new Error('a raw control character');
  if (!record.isWellFormed()) throw new Error('a lone surrogate');
  const { header, rest } = readHeader(record);
  const equals: number[] = [];
  for (let at = 0; at < rest.length; at++) {
    if (rest[at] === '\\') at++;
    else if (rest[at] === '=') equals.push(at);
  }
  const keys = equals.map((at) => {
    const key = /(?:^| )([A-Za-z0-9]+)$/.exec(rest.slice(Math.max(0, at - 64), at))?.[1];
    if (key === undefined) throw new Error(`no key before the = at ${at}`);
    return { key, from: at - key.length, valueAt: at + 1 };
  });
  if (keys[0]?.from !== 0) throw new Error('text before the first key');
  const escaped = new Map<string, string>();
  const extension = new Map<string, string>();
  for (const [index, { key, valueAt }] of keys.entries()) {
    const end = keys[index + 1]?.from;
    const value = rest.slice(valueAt, end === undefined ? rest.length : end - 1);
    if (extension.has(key)) throw new Error(`${key} stands twice`);
    if (value === '' || value !== value.replace(/^ | $/g, ''))
      throw new Error(`${key} is empty or has spaces around it`);
    escaped.set(key, value);
    extension.set(key, unescaped(value, { '\\': '\\', '=': '=', n: '\n', r: '\r' }));
  }
  return { header, extension, escaped };
}

function readHeader(record: string): { header: string[]; rest: string } {
  const header: string[] = [];
  let from = 0;
  for (let at = 0; header.length < 7; at++) {
    if (at >= record.length) throw new Error('fewer than seven header fields');
    if (record[at] === '\\') at++;
    else if (record[at] === '|') {
      header.push(unescaped(record.slice(from, at), { '\\': '\\', '|': '|' }));
      from = at + 1;
    }
  }
  return { header, rest: record.slice(from) };
}

function unescaped(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\\(.?)/gs, (_, c: string) => {
    const plain = Object.hasOwn(known, c) ? known[c] : undefined;
    if (plain === undefined) throw new Error(`no such escape: \\${c}`);
    return plain;
  });
}
