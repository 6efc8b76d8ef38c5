/** Line ends, C0 and C1 controls, DEL, line separators, and the marks that reverse or hide text. */
const unprintable =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\p{Cs}/gu;

/** A character of the Basic Multilingual Plane as `\u001b`. */
export const unicodeEscape = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * Makes text from outside safe for a log line or a terminal: at most `limit` characters, every control, line end, bidi
 * and zero-width mark and lone surrogate written as an escape.
 */
export function printable(text: string, limit = 200): string {
  const characters = Array.from(text.slice(0, limit * 2 + 2));
  const isCut = characters.length > limit || text.length > limit * 2 + 2;
  const escaped = characters.slice(0, limit).join('').replace(unprintable, unicodeEscape);
  return isCut ? `${escaped}…` : escaped;
}

/**
 * An error of our own code as text for the log. A SyntaxError is only named: its message quotes the text that was parsed,
 * which may be an audit event.
 */
export function bugText(error: unknown): string {
  if (error instanceof SyntaxError) return 'SyntaxError';
  return error instanceof Error ? printable(error.message) : `threw a ${typeof error}`;
}
