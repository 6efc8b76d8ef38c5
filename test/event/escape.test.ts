import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeControls, onOneLine, withoutControls } from '../../src/event/escape.ts';

const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const unit = fc.constantFrom('a', '"', '\\', '\n', '\r', '\t', '\0', '\u001b', '\u007f', '\u0080', '\u009f', '\u00a0', 'é', '…', '\u2028', '\u2029', '\u2030', '🦊'); // biome-ignore format: a list
const hostile = fc.string({ unit, maxLength: 20 });

describe('a record without control characters', () => {
  it('is the same buffer if it has none', () => {
    for (const text of ['', 'plain', 'Zoë … 🦊 \u00a0']) {
      const record = Buffer.from(text);
      expect(withoutControls(record, true)).toBe(record);
      expect(withoutControls(record, false)).toBe(record);
    }
  });

  it('has none, whatever the text is, and its UTF-8 is valid', () => {
    const bytes = fc.oneof(
      hostile.map((text) => Buffer.from(text)),
      fc.uint8Array().map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), (record, json) => {
        const written = withoutControls(record, json);
        expect(written.toString('utf8')).not.toMatch(controls);
        expect(Buffer.from(written.toString('utf8')).equals(written)).toBe(true);
      }),
    );
  });

  it('keeps the value of JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(hostile, hostile), (value) => {
        const record = Buffer.from(JSON.stringify(value, undefined, '\t'));
        expect(JSON.parse(withoutControls(record, true).toString())).toEqual(value);
      }),
    );
  });
});

it('text on one line has a space for a line break and an escape for other controls', () => {
  expect(onOneLine('a\r\nb\tc\u001b[31m\u2028')).toBe('a  b c\\u001b[31m\\u2028');
});

it('escaped text shows each control, and U+FFFD for half a surrogate pair', () => {
  expect(escapeControls('a\nb\u0000\ud800')).toBe('a\\u000ab\\u0000\ufffd');
});
