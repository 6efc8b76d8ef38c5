const mark = '…';

/**
 * `text` written by `write`, if the result has at most `limit` UTF-16 units; else the longest beginning that fits, with a
 * `…` behind it, cut at a code point and never inside what `write` makes of one. `write` must work character by character
 * and make nothing shorter.
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

/** Without spaces at either end, which not every parser keeps. A loop, since a pattern for trailing spaces is quadratic. */
export function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text[from] === ' ') from++;
  while (to > from && text[to - 1] === ' ') to--;
  return text.slice(from, to);
}
