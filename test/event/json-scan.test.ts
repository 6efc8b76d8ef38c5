import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeString, eachElement, eachMember, endOfValue } from '../../src/event/json-scan.ts';
import { objectTrees, textOf, trees } from '../support/json-texts.ts';

const pad = fc.constantFrom('', ' ', '\n\t');

/** Members as raw texts. */
function membersOf(text: Buffer, at: number): { list: [string, string][]; end: number } {
  const list: [string, string][] = [];
  const end = eachMember(text, at, (keyAt, keyEnd, valueAt) => {
    const valueEnd = endOfValue(text, valueAt);
    list.push([text.toString('utf8', keyAt, keyEnd), text.toString('utf8', valueAt, valueEnd)]);
    return list.length % 2 === 0 ? valueEnd : undefined;
  });
  return { list, end };
}

describe('ranges in JSON text', () => {
  it('finds the end of any value, whatever follows', () => {
    fc.assert(
      fc.property(trees(), fc.constantFrom('', ',"x"', '}', ']', ' ', '\n', ',1'), pad, (tree, after, before) => {
        const value = textOf(tree);
        const text = Buffer.from(before + value + after);
        expect(text.toString('utf8', before.length, endOfValue(text, before.length))).toBe(
          Buffer.from(value).toString(),
        );
      }),
    );
  });

  it('visits the members of an object in order, repeated ones included', () => {
    fc.assert(
      fc.property(objectTrees(), pad, pad, (tree, before, after) => {
        if (tree.kind !== 'object') return;
        const text = Buffer.from(before + textOf(tree) + after);
        const { list, end } = membersOf(text, before.length);
        expect(list).toEqual(tree.members.map(({ key, value }) => [key, Buffer.from(textOf(value)).toString()]));
        expect(end).toBe(text.length - after.length);
      }),
    );
  });

  it('visits the elements of an array with their index', () => {
    fc.assert(
      fc.property(fc.array(trees(), { maxLength: 5 }), pad, (items, space) => {
        const written = items.map((item) => Buffer.from(textOf(item)).toString());
        const text = Buffer.from(`[${space}${written.join(`${space},${space}`)}${space}]`);
        const seen: [number, string][] = [];
        const end = eachElement(text, 0, (at, index) => {
          seen.push([index, text.toString('utf8', at, endOfValue(text, at))]);
          return undefined;
        });
        expect(seen).toEqual([...written.entries()]);
        expect(end).toBe(text.length);
      }),
    );
  });

  it('decodes a key as JSON.parse does', () => {
    fc.assert(
      fc.property(objectTrees(), (tree) => {
        if (tree.kind !== 'object') return;
        const text = Buffer.from(textOf(tree));
        const keys = new Set<string>();
        eachMember(text, 0, (keyAt, keyEnd) => void keys.add(decodeString(text, keyAt, keyEnd)));
        expect([...keys].sort()).toEqual(Object.keys(JSON.parse(text.toString())).sort());
      }),
    );
  });

  it('uses no stack for nesting', () => {
    const deep = '{"a":['.repeat(100_000) + ']}'.repeat(100_000);
    const text = Buffer.from(`{"x":${deep},"y":1}`);
    expect(membersOf(text, 0).list.map(([key, value]) => [key, value.length])).toEqual([
      ['"x"', deep.length],
      ['"y"', 1],
    ]);
  });

  it('ends on text that stops short', () => {
    for (const text of ['{"a', '{"a":', '{"a":"b\\', '[1,', '{"a":[', '{', '[', '{"a":1,'])
      expect(eachMember(Buffer.from(text), 0, () => undefined)).toBeGreaterThan(0);
  });
});
