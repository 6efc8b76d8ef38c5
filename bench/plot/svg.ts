/** One element; text is escaped, other content is not. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  content: string | { readonly text: string } = '',
): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(round(value))}"`);
  const inside = typeof content === 'string' ? content : escaped(content.text);
  return inside === '' ? `<${name}${written.join('')}/>` : `<${name}${written.join('')}>${inside}</${name}>`;
}

export const text = (x: number, y: number, shown: string, attributes: Readonly<Record<string, string | number>> = {}) =>
  element('text', { x, y, ...attributes }, { text: shown });

export const line = (x1: number, y1: number, x2: number, y2: number, kind: string) =>
  element('line', { x1, y1, x2, y2, class: kind });

const round = (value: string | number) => (typeof value === 'number' ? String(Math.round(value * 10) / 10) : value);

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? one);

/** Round numbers from 0 to at least `most`, about four steps. */
export function ticksTo(most: number): number[] {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5].find((one) => one * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}
