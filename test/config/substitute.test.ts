import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { substitute } from '../../src/config/substitute.ts';

const env = { SET: 'value', EMPTY: '', NESTED: '${SET}', BRACED: '$${SET} } ${' };

const result = (text: string) => {
  const replaced = substitute(text, env);
  return replaced.ok ? replaced.text : `problem: ${replaced.message}`;
};

describe('substitution from the environment', () => {
  it.each([
    ['${SET}', 'value'],
    ['a${SET}b${SET}c', 'avaluebvaluec'],
    ['${EMPTY}', ''],
    ['${EMPTY:-default}', 'default'],
    ['${UNSET:-default}', 'default'],
    ['${UNSET:-}', ''],
    ['${SET:-default}', 'value'],
    ['${UNSET:-a:-b $ {}', 'a:-b $ {'],
    ['$${SET}', '${SET}'],
    ['$$${SET}', '$${SET}'],
    ['$$', '$$'],
    ['$SET', '$SET'],
    ['${NESTED}', '${SET}'],
    ['${BRACED}', '$${SET} } ${'],
  ])('makes %j into %j', (text, expected) => {
    expect(result(text)).toBe(expected);
  });

  it.each(['${UNSET}', '${}', '${', 'a${SET', '${A B}', '${1A}', '${UNSET:-${SET}}', '${SET-x}', '${constructor}'])(
    'refuses %j',
    (text) => {
      expect(substitute(text, env).ok).toBe(false);
    },
  );

  it('reports the strings that consist of one reference', () => {
    expect(substitute('${SET}', env)).toMatchObject({ whole: true });
    expect(substitute('${UNSET:-5}', env)).toMatchObject({ whole: true });
    expect(substitute('${SET}${SET}', env)).toMatchObject({ whole: false });
    expect(substitute('$${SET}', env)).toMatchObject({ whole: false });
  });

  it('replaces each reference once, and nothing in inserted text', () => {
    const plain = fc.string().map((text) => text.replaceAll('$', ''));
    const pieces = fc.array(
      fc.oneof(
        plain.map((text) => ({ written: text, meant: text })),
        fc.constant({ written: '$${', meant: '${' }),
        fc.constantFrom('A', 'B', 'C').map((name) => ({ written: `\${${name}}`, name })),
        fc
          .tuple(fc.constantFrom('A', 'B', 'C', 'UNSET'), plain)
          .map(([name, text]) => ({ written: `\${${name}:-${text.replaceAll('}', '')}}`, name, text })),
      ),
    );
    fc.assert(
      fc.property(
        pieces,
        fc.record({ A: fc.string(), B: fc.constant('${A}$${'), C: fc.constant('') }),
        (all, values) => {
          const expected = all.map((piece) => {
            if ('meant' in piece) return piece.meant;
            const value = (values as Record<string, string>)[piece.name];
            if (!('text' in piece)) return value;
            return value === undefined || value === '' ? piece.text.replaceAll('}', '') : value;
          });
          const text = all.map(({ written }) => written).join('');
          expect(substitute(text, values)).toMatchObject({ ok: true, text: expected.join('') });
        },
      ),
    );
  });

  it('never quotes a value in a message', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('${', '}', '$', ':-', 'SECRET', 'UNSET', ' ', '{')), (parts) => {
        const replaced = substitute(parts.join(''), { SECRET: 'c4n4ry' });
        if (!replaced.ok) expect(replaced.message).not.toContain('c4n4ry');
      }),
    );
  });

  it('does not name a variable that may be a secret put between the braces', () => {
    expect(substitute('${c4n4ry}', {})).toEqual({ ok: false, message: 'the environment variable is not set' });
  });
});
