const width = 360;
const height = 60;
const hourSeconds = 3_600;

/**
 * The last hour as a line: `[seconds ago, value]`, oldest first. What it shows stands in words below it, for who can't
 * see it.
 */
export function plot(
  title: string,
  points: readonly (readonly [ageSeconds: number, value: number])[],
  words: (value: number) => string,
): string {
  const values = points.map(([, value]) => value);
  const most = Math.max(0, ...values);
  const top = most === 0 ? 1 : most;
  const line = points
    .map(
      ([age, value]) => `${round(width * (1 - age / hourSeconds))},${round(height - 2 - (value / top) * (height - 4))}`,
    )
    .join(' ');
  const said =
    points.length < 2
      ? 'nothing to show yet'
      : `now ${words(values.at(-1) ?? 0)}, at most ${words(most)} in the last hour`;
  return `<figure>
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${title}: ${said}"><polyline points="${line}"/></svg>
<figcaption>${title}: ${said}</figcaption>
</figure>`;
}

const round = (value: number) => Math.round(value * 10) / 10;
