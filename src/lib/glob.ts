/**
 * Compiles `pattern` to a test for texts: `*` matches any run of characters, dots and the empty run included; everything else
 * means itself, case too. Time is linear in the text: pieces are looked for from left to right, nothing is tried twice.
 */
export function glob(pattern: string): (text: string) => boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return (text) => text === pattern;
  const middle = pieces.filter((piece) => piece !== '');
  return (text) => {
    if (!text.startsWith(head)) return false;
    let from = head.length;
    for (const piece of middle) {
      const at = text.indexOf(piece, from);
      if (at === -1) return false;
      from = at + piece.length;
    }
    return text.length - tail.length >= from && text.endsWith(tail);
  };
}
