import { isAscii, isUtf8 } from 'node:buffer';

/** Fast test on bytes read as Latin-1: C0, DEL, C1 (C2 80 to C2 9F), U+2028 and U+2029 (E2 80 A8, A9). */
const suspicious = /[\u0000-\u001f\u007f]|\u00c2[\u0080-\u009f]|\u00e2\u0080[\u00a8\u00a9]/;
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** `text` with every control character, DEL, C1 and line separator written as `\uXXXX`, and whole in UTF-16. */
export const escapeText = (text: string): string => text.toWellFormed().replace(controls, escaped);

/**
 * A payload in which no byte can end a frame or move a cursor. In JSON the escapes stand for the same value; white space
 * between tokens becomes a blank. Elsewhere they are what a reader sees.
 */
export function escapePayload(record: Buffer, json: boolean): Buffer {
  if (isPlain(record)) return record;
  const text = record.toString('utf8');
  return Buffer.from(json ? escapeJson(text) : escapeText(text), 'utf8');
}

/** Whether nothing in it needs to be written otherwise. Most records end with the first loop. */
function isPlain(record: Buffer): boolean {
  const isSure = isAscii(record);
  if (!isSure && !isUtf8(record)) return false;
  // Not `of`: its iterator costs more than all the rest.
  for (let at = 0; at < record.length; at++) {
    const byte = record[at] as number;
    if (byte < 0x20 || byte === 0x7f) return false;
  }
  return isSure || !suspicious.test(record.toString('latin1'));
}

/** JSON text without raw control characters, DEL, C1 and line separators: the same value. */
export function escapeJson(text: string): string {
  let inString = false;
  let out = '';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c && inString) at++;
    else if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029) {
      out += text.slice(from, at) + (inString ? escaped(text.charAt(at)) : ' ');
      from = at + 1;
    }
  }
  return (out + text.slice(from)).toWellFormed();
}
