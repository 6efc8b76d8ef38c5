import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import type { Location, Path, Problem } from './problem.ts';
import { pathText } from './problem.ts';
import { type Environment, hasBareReference, substitute } from './substitute.ts';

/** The plain values of one YAML document, and the place of each. */
export interface Tree {
  readonly value: unknown;
  /** The place of a key or of its value; for one that is missing, of the nearest block around it. */
  locate(path: Path, part?: 'key' | 'value'): Location;
  /** Strings that consisted of one `${…}`: they may become a number or boolean if the schema requires one. */
  readonly substituted: readonly Path[];
  readonly problems: readonly Problem[];
  /** Paths whose value is unknown because of a problem: nothing more can be said about them. */
  readonly unknown: readonly Path[];
  /** Strings that look like a variable and are used as they are. */
  readonly bareReferences?: readonly Path[];
  /** Rewords a message that names keys for a user who set variables. */
  reword?(message: string): string;
}

const MAX_ALIASES = 100;
const MAX_NODES = 50_000;
const MAX_DEPTH = 64;

/**
 * Reads one YAML 1.2 document and, if `env` is given, replaces `${…}` in its strings. Merge keys, tags, duplicate keys and more
 * than 100 uses of aliases are problems. After a syntax error no other problem is reported. Its parts share the state of one
 * reading, so they are one function.
 * @param verbatim keys whose numbers are kept as they were written
 */
export function readYaml(text: string, file: string, env: Environment | undefined, verbatim: readonly string[]): Tree {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  const at = (offset: number): Location => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const places = new Map<string, { key?: number; value: number }>();
  const locate = (path: Path, part: 'key' | 'value' = 'value'): Location => {
    const place = places.get(JSON.stringify(path));
    if (place !== undefined) return at(part === 'key' ? (place.key ?? place.value) : place.value);
    return path.length === 0 ? at(0) : locate(path.slice(0, -1), 'key');
  };
  const broken = syntaxProblems(document, at);
  if (broken.length > 0) return { value: undefined, locate, substituted: [], problems: broken, unknown: [[]] };

  const problems: Problem[] = [];
  const unknown: Path[] = [];
  const substituted: Path[] = [];
  const bareReferences: Path[] = [];
  let aliases = 0;
  let nodes = 0;

  const fault = (offset: number, path: Path, message: string) => {
    problems.push({ ...at(offset), path: pathText(path), message });
    unknown.push(path);
  };
  const walk = (node: Node | null, path: Path, key?: number): unknown => {
    const offset = node?.range?.[0] ?? key ?? 0;
    nodes += 1;
    if (nodes > MAX_NODES)
      return nodes === MAX_NODES + 1 ? fault(offset, [], `more than ${MAX_NODES} values`) : undefined;
    const bare = node === null || (isScalar(node) && node.value === null);
    places.set(JSON.stringify(path), { value: bare ? (key ?? offset) : offset, ...(key !== undefined && { key }) });
    if (node === null) return null;
    if (path.length > MAX_DEPTH) return fault(offset, path.slice(0, 1), 'is nested too deeply');
    if (isAlias(node)) {
      aliases += 1;
      if (aliases === MAX_ALIASES + 1) fault(offset, [], `more than ${MAX_ALIASES} uses of aliases`);
      if (aliases > MAX_ALIASES) return undefined;
      const target = node.resolve(document);
      return target === undefined
        ? fault(offset, path, 'is an alias without an anchor above it')
        : walk(target, path, key);
    }
    if (node.tag !== undefined) return fault(offset, path, 'has a YAML tag, which is not supported');
    if (isMap(node)) return walkMap(node.items as Pairs, path);
    if (isSeq(node)) return node.items.map((item, index) => walk(item as Node | null, [...path, index]));
    if (!isScalar(node)) return fault(offset, path, 'is not a plain value');
    if (typeof node.value === 'number' && verbatim.includes(String(path.at(-1)))) return node.source;
    if (typeof node.value !== 'string' || env === undefined) return node.value;
    const result = substitute(node.value, env);
    if (!result.ok) return fault(offset, path, result.message);
    if (hasBareReference(node.value, env)) bareReferences.push(path);
    if (result.whole) substituted.push(path);
    return result.text;
  };
  const walkMap = (pairs: Pairs, path: Path) => {
    const found: Record<string, unknown> = {};
    for (const pair of pairs) {
      const offset = pair.key?.range?.[0] ?? 0;
      const name = isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : undefined;
      if (name === undefined || (isScalar(pair.key) && pair.key.tag !== undefined))
        fault(offset, [...path, '?'], 'a key must be plain text');
      else if (name === '<<') fault(offset, [...path, name], 'merge keys are not supported');
      else if (name === '__proto__') fault(offset, [...path, name], 'is not a valid key');
      else if (Object.hasOwn(found, name)) {
        const first = locate([...path, name], 'key').line;
        problems.push({
          ...at(offset),
          path: pathText([...path, name]),
          message: `is a duplicate: line ${first} has it already`,
        });
      } else found[name] = walk(pair.value, [...path, name], offset);
    }
    return found;
  };
  const value = document.contents === null ? {} : walk(document.contents, []);
  return { value, locate, substituted, problems, unknown, bareReferences };
}

/** `text` read as a YAML number or boolean, or undefined. */
export function numberOrBoolean(text: string): number | boolean | undefined {
  const { contents, errors } = parseDocument(text, { version: '1.2', schema: 'core', prettyErrors: false });
  const value = errors.length === 0 && isScalar(contents) && contents.tag === undefined ? contents.value : undefined;
  return typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

type Pairs = readonly { readonly key: Node | null; readonly value: Node | null }[];

/** The library's own messages may quote the file, and so a secret: only its codes are used. */
const explanations: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_INDENT: 'the indentation does not match the lines above',
  BAD_SCALAR_START: 'a plain value must not start with this character: quote it',
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: use single quotes, or double the backslash',
  BLOCK_AS_IMPLICIT_KEY: 'a second key on this line: quote the value if it contains a colon and a space',
  BLOCK_IN_FLOW: 'a block is not allowed inside { } or [ ]',
  MISSING_CHAR: 'a quote, bracket, comma, colon or space is missing here',
  MULTILINE_IMPLICIT_KEY: 'a key without a colon and a space after it',
  MULTIPLE_DOCS: 'only one document is allowed: remove what follows ---',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'tabs are not allowed for indentation: use spaces',
  UNEXPECTED_TOKEN: 'unexpected token: a stray quote, bracket or colon?',
};

function syntaxProblems(document: Document.Parsed, at: (offset: number) => Location): Problem[] {
  const { version, explicit } = document.directives.yaml;
  if (explicit === true && version !== '1.2') return [{ ...at(0), path: '', message: 'only YAML 1.2 is supported' }];
  const byLine = new Map<number | undefined, Problem>();
  for (const { code, pos } of document.errors) {
    const place = at(pos[0]);
    const message = explanations[code] ?? `is not valid YAML here (${code})`;
    if (!byLine.has(place.line)) byLine.set(place.line, { ...place, path: '', message });
  }
  return [...byLine.values()];
}
