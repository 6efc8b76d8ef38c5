import fc from 'fast-check';

/** A JSON value as text, written the way a hostile writer might: odd spaces, escapes, numbers and doubled keys. */
export type Tree =
  | { readonly kind: 'scalar'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly Tree[]; readonly spaces: readonly string[] }
  | {
      readonly kind: 'object';
      readonly members: readonly { readonly key: string; readonly value: Tree }[];
      readonly spaces: readonly string[];
    };

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n', '\t', '  ');
const spaces = fc.array(space, { minLength: 4, maxLength: 4 });
const number = fc.constantFrom('0', '-0', '1e3', '1.0', '9007199254740993', '12345678901234567890123', '-1.5E-7', '42');
const character = fc.oneof(
  fc.constantFrom('"', '\\', '\b', '\u0000', '\n', '=', '|', '^', '\u007f', '\u0085', '\u2028', '😀', '\ud800'),
  fc.string({ minLength: 1, maxLength: 1 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
);

/** One character inside quotes: raw where JSON lets it, else, or by choice, as an escape. */
function written(text: string, escaped: boolean): string {
  if (!escaped) return JSON.stringify(text).slice(1, -1);
  return Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  );
}

/** A JSON string literal that means `content`, with some characters escaped that need not be. */
function literalOf(content: string, isEscaped: (at: number) => boolean): string {
  return `"${Array.from(content, (c, at) => written(c, isEscaped(at))).join('')}"`;
}

export const stringLiteral = fc
  .array(fc.tuple(character, fc.boolean()), { maxLength: 8 })
  .map((parts) => `"${parts.map(([c, escaped]) => written(c, escaped)).join('')}"`);

/** Literals of keys out of a small set, so that keys double and paths match. */
export const keyLiteral = (names: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...names), fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }))
    .map(([name, escapes]) => literalOf(name, (at) => escapes[at] === true));

export const hostileNames = ['a', 'b', 'token', 'user', 'email', '', '__proto__', 'constructor', 'toString', '0', 'é'];

export const trees = (names: readonly string[] = hostileNames): fc.Arbitrary<Tree> =>
  fc.letrec<{ tree: Tree; scalar: Tree; array: Tree; object: Tree }>((tie) => ({
    tree: fc.oneof({ depthSize: 'small' }, tie('scalar'), tie('array'), tie('object')),
    scalar: fc
      .oneof(number, stringLiteral, fc.constantFrom('true', 'false', 'null'))
      .map((text): Tree => ({ kind: 'scalar', text })),
    array: fc
      .tuple(fc.array(tie('tree'), { maxLength: 4 }), spaces)
      .map(([items, spaces]): Tree => ({ kind: 'array', items, spaces })),
    object: objectOf(keyLiteral(names), tie('tree')),
  })).tree;

const objectOf = (key: fc.Arbitrary<string>, value: fc.Arbitrary<Tree>) =>
  fc
    .tuple(fc.array(fc.record({ key, value }), { maxLength: 5 }), spaces)
    .map(([members, spaces]): Tree => ({ kind: 'object', members, spaces }));

/** Objects alone. */
export const objectTrees = (names: readonly string[] = hostileNames) => objectOf(keyLiteral(names), trees(names));

/** The text of a tree. */
export function textOf(tree: Tree): string {
  if (tree.kind === 'scalar') return tree.text;
  const [a = '', b = '', c = '', d = ''] = tree.spaces;
  if (tree.kind === 'array') return `[${a}${tree.items.map((item) => textOf(item) + b).join(`,${c}`)}]`;
  return `{${a}${tree.members.map(({ key, value }) => `${key}${b}:${c}${textOf(value)}${d}`).join(`,${a}`)}}`;
}
