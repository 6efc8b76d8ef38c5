/** One level of a path: a decoded key or an array index as text, or any. */
export type Level = { readonly name: string } | 'any';
export type Path = readonly Level[];

/**
 * Parses a path such as `user.email`, `meta.*.token` or `meta.items.0`; a star alone matches any key or index of one level. A
 * backslash escapes the next character: `meta.a\.b` names the key `a.b`, and `meta.\*` the key `*`.
 */
export function parsePath(text: string): Path {
  const levels: Level[] = [];
  let name = '';
  let literal = false;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    if (character === '\\' && at + 1 < text.length) {
      name += text[++at];
      literal = true;
    } else if (character === '.' || character === undefined) {
      levels.push(name === '*' && !literal ? 'any' : { name });
      name = '';
      literal = false;
    } else name += character;
  }
  return levels;
}

/** Why a path can't be used for redaction; undefined if it can. */
export function pathProblem(text: string): string | undefined {
  if (text === '') return 'is empty';
  const [first, second] = parsePath(text);
  if (second !== undefined || first === undefined) return undefined;
  if (first === 'any') return 'would redact the whole event: name the fields';
  return first.name === 'id' ? 'would redact the id, which identifies a record' : undefined;
}

/** A node of the tree of paths. */
export class Node {
  /** What happens to a value at this node; undefined: nothing. */
  end: 'redact' | 'hash' | undefined;
  /** The nodes one level below, by name. */
  readonly named: { readonly name: string; readonly bytes: Buffer; readonly node: Node }[] = [];
  /** The node one level below for any name. */
  any: Node | undefined;

  /** The node one level below; created if there is none. */
  grow(level: Level): Node {
    if (level === 'any') {
      this.any ??= new Node();
      return this.any;
    }
    const known = this.named.find(({ name }) => name === level.name);
    if (known !== undefined) return known.node;
    const node = new Node();
    this.named.push({ name: level.name, bytes: Buffer.from(level.name), node });
    return node;
  }
}

/** The tree of these paths; undefined if there are none. If two paths end at one node, `redact` wins. */
export function pathTree(paths: readonly (readonly [Path, Node['end']])[]): Node | undefined {
  if (paths.length === 0) return undefined;
  const root = new Node();
  for (const [path, end] of paths) {
    const node = path.reduce((above, level) => above.grow(level), root);
    if (node.end !== 'redact') node.end = end;
  }
  return root;
}
