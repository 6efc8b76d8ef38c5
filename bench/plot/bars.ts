import { element, line, text, ticksTo } from './svg.ts';

export interface Bar {
  readonly label: string;
  readonly kind: 'ours' | 'baseline' | 'peer';
  readonly value: number;
}

export interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const barHeight = 15;
const barStep = 19;
const groupGap = 14;
const labelWidth = 300;

/** Horizontal bars in groups under one axis. Returns the drawing and how high it is. */
export function bars(groups: readonly BarGroup[], top: number, width: number, axisTitle: string) {
  const ticks = ticksTo(Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value))));
  const most = ticks.at(-1) ?? 1;
  const right = width - 70;
  const x = (value: number) => labelWidth + (value / most) * (right - labelWidth);
  const drawn: string[] = [];
  let y = top;
  for (const { title, bars } of groups) {
    drawn.push(text(16, y + 12, title, { class: 'strong' }));
    for (const { label, kind, value } of bars) {
      drawn.push(
        text(labelWidth - 8, y + 12, label, { 'text-anchor': 'end' }),
        element('rect', { x: labelWidth, y, width: x(value) - labelWidth, height: barHeight, class: kind }),
        text(x(value) + 6, y + 12, `${Math.round(value / 1000)} k`, { class: 'small' }),
      );
      y += barStep;
    }
    y += groupGap;
  }
  const bottom = y - groupGap / 2;
  const axis = ticks.flatMap((tick) => [
    line(x(tick), top - 6, x(tick), bottom, 'grid'),
    text(x(tick), bottom + 16, tick === 0 ? '0' : `${tick / 1000} k`, { 'text-anchor': 'middle', class: 'small' }),
  ]);
  const titled = text((labelWidth + right) / 2, bottom + 36, axisTitle, { 'text-anchor': 'middle' });
  return { drawn: [...axis, ...drawn, titled].join('\n'), bottom: bottom + 44 };
}
