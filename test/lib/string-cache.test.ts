import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StringCache } from '../../src/lib/string-cache.ts';

it('gives the text that stands there, whatever was asked for before', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.constantFrom('', 'a', 'user.login', 'user.logi', 'ser.login', 'x'.repeat(64), 'x'.repeat(65), 'y'.repeat(300)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.nat(5)), { maxLength: 400, size: 'max' }), (texts) => {
      const interner = new StringCache();
      for (const [text, at] of texts) {
        const bytes = Buffer.from(`${'#'.repeat(at)}${text}##`);
        expect(interner.textAt(bytes, at, bytes.length - 2)).toBe(Buffer.from(text).toString());
      }
    }),
    { numRuns: 200 },
  );
});
