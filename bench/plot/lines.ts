import { element, line, text, ticksTo } from './svg.ts';

export interface Panel {
  readonly xTitle: string;
  readonly yTitle: string;
  /** In order of x, x above 0. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** A line that is not to be crossed. */
  readonly bound?: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const short = (value: number) =>
  value >= 1e6 ? `${value / 1e6} M` : value >= 1e4 ? `${value / 1e3} k` : String(value);

/** One line over a logarithmic x axis that shows the measured points alone, y from 0. */
export function panel({ xTitle, yTitle, points, bound }: Panel, box: Box): string {
  const [left, right, top, bottom] = [box.left + 62, box.left + box.width - 16, box.top, box.top + box.height - 44];
  const ticks = ticksTo(Math.max(bound ?? 0, ...points.map(({ y }) => y)));
  const most = ticks.at(-1) ?? 1;
  const logs = points.map(({ x }) => Math.log(x));
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const xAt = (x: number) => left + 14 + ((Math.log(x) - first) / (last - first || 1)) * (right - left - 28);
  const yAt = (y: number) => bottom - (y / most) * (bottom - top);
  const middle = (top + bottom) / 2;
  const turned = { 'text-anchor': 'middle', transform: `rotate(-90 ${box.left + 18} ${middle})` };
  return [
    ...ticks.flatMap((tick) => [
      line(left, yAt(tick), right, yAt(tick), 'grid'),
      text(left - 6, yAt(tick) + 4, String(tick), { 'text-anchor': 'end', class: 'small' }),
    ]),
    ...(bound === undefined ? [] : [line(left, yAt(bound), right, yAt(bound), 'bound')]),
    element('polyline', {
      points: points.map(({ x, y }) => `${xAt(x).toFixed(1)},${yAt(y).toFixed(1)}`).join(' '),
      class: 'line',
    }),
    ...points.flatMap(({ x, y }) => [
      element('circle', { cx: xAt(x), cy: yAt(y), r: 3.5, class: 'ours' }),
      text(xAt(x), bottom + 16, short(x), { 'text-anchor': 'middle', class: 'small' }),
    ]),
    text((left + right) / 2, bottom + 36, xTitle, { 'text-anchor': 'middle' }),
    text(box.left + 18, middle, yTitle, turned),
  ].join('\n');
}
