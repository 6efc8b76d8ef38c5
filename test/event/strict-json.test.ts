import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfPlain, endOfProved, textOf, unproved } from '../../src/event/strict-json.ts';

const endOf = (text: string | Buffer, at = 0) => endOfProved(textOf(Buffer.from(text)), at);

function isJson(text: Buffer): boolean {
  try {
    JSON.parse(text.toString());
    return true;
  } catch {
    return false;
  }
}

/** The same text with each of its bytes replaced by each other byte, and with each cut out, where that is UTF-8. */
function* damaged(text: string): Generator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at++) {
    const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    if (isUtf8(without)) yield without;
    for (let byte = 0; byte < 256; byte++) {
      const other = Buffer.from(bytes);
      other[at] = byte;
      if (isUtf8(other)) yield other;
    }
  }
}

describe('JSON proved without being parsed', () => {
  it('ends where the value ends, whatever follows', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom('', ',', ' ,1', ']', '}x'), (json, after) => {
        expect(endOf(json + after)).toBe(Buffer.byteLength(json));
        expect(endOf(`[${json + after}`, 1)).toBe(Buffer.byteLength(json) + 1);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '{"a":[1,-0.5,1e9,0,-0,2.5E+3,1e-7],"b":{"":null,"c":true},"d":false}',
    ' [ "\\u00e9\\n\\"\\\\\\/\\b\\f\\r\\t" , { } , [ ] , "Zoë 🦊" ]',
    '"a longer one, that ends neither early nor late: €, \\uD83D\\udd8a."',
    '[[[[]]],{"k":{"k":{"k":0}}}]\n',
  ])('takes what JSON.parse takes and nothing else, whichever byte was damaged: %s', (text) => {
    const space = (bytes: Buffer) => /^[ \t\r\n]*/.exec(bytes.toString('latin1'))?.[0].length ?? 0;
    let taken = 0;
    for (const bytes of damaged(text)) {
      const end = endOf(bytes, space(bytes));
      const isWhole = end !== unproved && end + space(bytes.subarray(end)) === bytes.length;
      if (isWhole !== isJson(bytes)) expect.fail(`${bytes.toString('latin1')}: ${end}`);
      taken += isWhole ? 1 : 0;
    }
    expect(taken).toBeGreaterThan(text.length);
  });

  it('leaves deep nests to a parser that takes no stack for them', () => {
    const nest = (levels: number) => `${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`;
    expect(endOf(nest(32))).toBe(nest(32).length);
    expect(endOf(nest(34))).toBe(unproved);
    expect(endOf('['.repeat(1_000_000))).toBe(unproved);
  });

  it('finds the first byte of a string that is not plain, wherever it stands', () => {
    const unit = fc.constantFrom(
      'a',
      ' ',
      '!',
      '#',
      '[',
      ']',
      '\u007f',
      'é',
      '€',
      '🦊',
      '\u0000',
      '\u001f',
      '"',
      '\\',
      '\n',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), fc.nat(3), (text, at) => {
        const bytes = Buffer.from(`${'"'.repeat(at)}${text}`);
        const found = bytes.findIndex((byte, index) => index >= at && (byte < 0x20 || byte === 0x22 || byte === 0x5c));
        expect(endOfPlain(textOf(bytes), at)).toBe(found === -1 ? bytes.length : found);
      }),
      { numRuns: 5_000 },
    );
  });
});
