import type { Result } from '../result.ts';
import { type Bar, type BarGroup, bars } from './bars.ts';
import { panel } from './lines.ts';
import { element, text } from './svg.ts';

const width = 900;
const panelHeight = 210;

/** Colours for a light page and a dark one; an image on a page follows the reader's system. */
const style = `
svg { font: 13px system-ui, sans-serif; }
.page { fill: #ffffff; } text { fill: #1f2328; } .small { font-size: 11.5px; } .strong { font-weight: 600; }
.grid { stroke: #d0d7de; } .bound { stroke: #cf222e; stroke-dasharray: 5 4; }
.ours { fill: #0969da; } .baseline { fill: #8c959f; } .peer { fill: #bc8a1d; } .line { fill: none; stroke: #0969da; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } text { fill: #e6edf3; }
.grid { stroke: #30363d; } .bound { stroke: #ff7b72; }
.ours { fill: #58a6ff; } .baseline { fill: #8b949e; } .peer { fill: #d9a93a; } .line { stroke: #58a6ff; }
}`;

/** The picture of docs/performance.md. Scenarios that were not run are left out. */
export function plot(result: Result): string {
  const { drawn, bottom } = bars(
    groupsOf(result),
    62,
    width,
    'events per CPU second; forwarder and baseline without their start',
  );
  const columns = growthOf(result);
  const box = (column: number, row: number) => ({
    left: (column * width) / 3,
    top: bottom + 50 + row * panelHeight,
    width: width / 3,
    height: panelHeight,
  });
  const panels = columns.flatMap(({ xTitle, points }, column) => [
    panel(
      { xTitle, yTitle: 'thousand records / CPU s', points: points.map(({ x, rate }) => ({ x, y: rate / 1000 })) },
      box(column, 0),
    ),
    panel(
      { xTitle, yTitle: 'peak memory, MiB', points: points.map(({ x, peakMiB }) => ({ x, y: peakMiB })), bound: 120 },
      box(column, 1),
    ),
  ]);
  const height = bottom + (columns.length === 0 ? 10 : 50 + 2 * panelHeight + 10);
  const title = 'What the forwarder does with a second of CPU, and how that grows';
  return `${element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' },
    [
      element('title', {}, { text: title }),
      element('style', {}, style),
      element('rect', { width, height, class: 'page' }),
      text(16, 28, 'Events per CPU second, beside the baseline and beside other programs', { class: 'strong' }),
      drawn,
      columns.length === 0
        ? ''
        : text(16, bottom + 26, 'Growth of an import to HEC with gzip; dashed: the memory that is aimed at', {
            class: 'strong',
          }),
      ...panels,
    ].join('\n'),
  )}\n`;
}

const wayTitles = {
  hec: 'HEC, gzip',
  'hec-plain': 'HEC, uncompressed',
  tcp: 'syslog over TCP',
  stdout: 'stdout',
} as const;

function groupsOf({ scenarios }: Result): BarGroup[] {
  return Object.entries(wayTitles).flatMap(([name, title]) => {
    const { program, baseline } = scenarios[name]?.figures ?? {};
    const peers = scenarios[{ 'hec-plain': 'peers-hec', tcp: 'peers-tcp' }[name] ?? '']?.figures ?? {};
    const drawn: Bar[] = [
      ...bar('forwarder', 'ours', program?.['eventsPerMovingCpuSecond']),
      ...bar('baseline', 'baseline', baseline?.['eventsPerMovingCpuSecond']),
      ...Object.entries(peers).flatMap(([peer, { eventsPerCpuSecond }]) =>
        peer === 'forwarder' || peer === 'baseline' ? [] : bar(peer, 'peer', eventsPerCpuSecond),
      ),
    ];
    return drawn.length === 0 ? [] : [{ title, bars: drawn }];
  });
}

const bar = (label: string, kind: Bar['kind'], value: number | undefined): Bar[] =>
  value === undefined ? [] : [{ label, kind, value }];

function growthOf({ scenarios }: Result) {
  const axes = [
    ['sinks', 'sinks', 'sinks'],
    ['pages', 'pageSize', 'events a page'],
    ['backlog', 'events', 'events behind'],
  ] as const;
  return axes.flatMap(([name, key, xTitle]) => {
    const measured = scenarios[name];
    if (measured === undefined) return [];
    const points = Object.values(measured.figures).map((figures) => ({
      x: figures[key] ?? 1,
      rate: figures['eventsPerMovingCpuSecond'] ?? 0,
      peakMiB: figures['peakMiB'] ?? 0,
    }));
    return [{ xTitle, points: points.toSorted((a, b) => a.x - b.x) }];
  });
}
