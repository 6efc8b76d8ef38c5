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
 * `text` where its written form is no longer than `limit` UTF-16 units; else its beginning and a `…` that fit, cut at a
 * code point and never inside what `write` makes of one.
 */
export function fitted(text: string, limit: number, write: (text: string) => string): string {
  // No way of writing makes a text shorter: what is far over the limit need not be written out whole.
  const head = text.length > limit + 1 ? text.slice(0, limit + 1) : text;
  const whole = write(head);
  if (head === text && whole.length <= limit) return whole;
  let result = '';
  for (const character of head) {
    const written = write(character);
    if (result.length + written.length + mark.length > limit) break;
    result += written;
  }
  return result + mark;
}

/** Without spaces at either end, which not every parser keeps. Linear, where a pattern for trailing spaces is not. */
export function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text[from] === ' ') from++;
  while (to > from && text[to - 1] === ' ') to--;
  return text.slice(from, to);
}
