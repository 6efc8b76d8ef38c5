import { arch, cpus, loadavg, platform, release } from 'node:os';
import type { Run } from './processes.ts';

/** What came of several rounds: the best of each, but for memory, which is the worst. */
export interface Figures {
  readonly eventsPerSecond: number;
  readonly eventsPerCpuSecond: number;
  /** The same without the start of the process: what a long import tends to. */
  readonly eventsPerMovingCpuSecond: number;
  readonly peakMiB: number;
}

export interface Row {
  readonly what: string;
  readonly program: Figures;
  readonly floor: Figures;
}

export function figuresOf(runs: readonly Run[], events: number): Figures {
  const least = (of: (run: Run) => number) => Math.min(...runs.map(of));
  return {
    eventsPerSecond: Math.round((events / least(({ movingMs }) => movingMs)) * 1000),
    eventsPerCpuSecond: Math.round((events / least(({ cpuMs }) => cpuMs)) * 1000),
    eventsPerMovingCpuSecond: Math.round((events / least(({ movingCpuMs }) => movingCpuMs)) * 1000),
    peakMiB: Math.round(Math.max(...runs.map(({ peakBytes }) => peakBytes)) / 1024 ** 2),
  };
}

export const share = (of: number, whole: number): number => Math.round((of / whole) * 1000) / 1000;

/** The share of the floor that the program reaches, and its memory in times the floor's. */
export function ratiosOf({ program, floor }: Row): Record<keyof Figures, number> {
  return {
    eventsPerSecond: share(program.eventsPerSecond, floor.eventsPerSecond),
    eventsPerCpuSecond: share(program.eventsPerCpuSecond, floor.eventsPerCpuSecond),
    eventsPerMovingCpuSecond: share(program.eventsPerMovingCpuSecond, floor.eventsPerMovingCpuSecond),
    peakMiB: share(program.peakMiB, floor.peakMiB),
  };
}

/** A Markdown table, its columns aligned for eyes as well. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? `${'-'.repeat(width + 2)}` : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...rest] = rows;
  return [line(head), rule, ...rest.map(line)].join('\n');
}

export function machine() {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    load: loadavg().map((load) => Math.round(load * 100) / 100),
  };
}
