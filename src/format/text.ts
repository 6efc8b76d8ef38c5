/** Characters that would end a line or steer a terminal: C0, DEL, C1, the line and paragraph separators. */
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const allControls = new RegExp(controls, 'g');
const lineBreaks = /[\u0009\u000a\u000d]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * JSON text on one line, with the same value: spaces for raw CR, LF and TAB, which stand between tokens only; an escape
 * for each other control character, which stands in a string.
 */
export function jsonLine(json: string): string {
  if (!controls.test(json)) return json;
  return json.replace(lineBreaks, ' ').replace(allControls, escaped);
}

/** A control character as text: a space for TAB, CR and LF, else an escape such as `\u001b` to be seen. */
export function visible(text: string): string {
  if (!controls.test(text)) return text;
  return text.replace(lineBreaks, ' ').replace(allControls, escaped);
}

const mark = '…';

/**
 * `text` written, where that is no longer than `limit` UTF-16 units; else as much of its beginning as fits with a `…`
 * behind it, cut at a code point and never inside what `write` makes of one. `write` works character by character and
 * makes nothing shorter.
 */
export function fitted(text: string, limit: number, write: (text: string) => string): string {
  if (text.length <= limit) {
    const whole = write(text);
    if (whole.length <= limit) return whole;
  }
  const room = limit - mark.length;
  let [fits, tooMany] = [0, room + 1];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (write(text.slice(0, middle)).length <= room) fits = middle;
    else tooMany = middle;
  }
  const splits = /[\ud800-\udbff]/.test(text.charAt(fits - 1)) && /[\udc00-\udfff]/.test(text.charAt(fits));
  return write(text.slice(0, splits ? fits - 1 : fits)) + mark;
}

/** Without spaces at either end, which not every parser keeps. Linear, where a pattern for trailing spaces is not. */
export function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text[from] === ' ') from++;
  while (to > from && text[to - 1] === ' ') to--;
  return text.slice(from, to);
}
