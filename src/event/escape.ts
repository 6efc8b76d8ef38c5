import { isAscii, isUtf8 } from 'node:buffer';
import { unicodeEscape } from '../lib/printable.ts';

/**
 * The one place that removes control characters from records: C0, DEL, C1 and the line and paragraph separators, with
 * which text from outside could end a line, forge a record or steer a terminal.
 */
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const allControls = new RegExp(controls, 'g');
const lineBreaks = /[\u0009\u000a\u000d]/g;
/** The same on bytes that are read as Latin-1: C1 is C2 80 to C2 9F, U+2028 and U+2029 are E2 80 A8 and A9. */
const controlBytes = /[\u0000-\u001f\u007f]|\u00c2[\u0080-\u009f]|\u00e2\u0080[\u00a8\u00a9]/;

/**
 * A space for each TAB, CR and LF, an escape such as `\u001b` for each other control character. JSON text keeps its value:
 * in valid JSON raw TAB, CR and LF occur only between tokens, and the others only in strings.
 */
export function onOneLine(text: string): string {
  if (!controls.test(text)) return text;
  return text.replace(lineBreaks, ' ').replace(allControls, unicodeEscape);
}

/** An escape for each control character, TAB, CR and LF included; lone surrogates become U+FFFD. */
export const escapeControls = (text: string): string => text.toWellFormed().replace(allControls, unicodeEscape);

/**
 * A record in which no byte can end a frame or move a cursor; the same buffer if that is so already. JSON keeps its value;
 * in other text a reader sees the escapes.
 */
export function withoutControls(record: Buffer, json: boolean): Buffer {
  if (isClean(record)) return record;
  const text = record.toString('utf8');
  return Buffer.from(json ? onOneLine(text) : escapeControls(text), 'utf8');
}

function isClean(record: Buffer): boolean {
  const ascii = isAscii(record);
  if (!ascii && !isUtf8(record)) return false;
  // An index loop: for most records this is the whole cost, and an iterator would multiply it.
  for (let at = 0; at < record.length; at++) {
    const byte = record[at] as number;
    if (byte < 0x20 || byte === 0x7f) return false;
  }
  return ascii || !controlBytes.test(record.toString('latin1'));
}
