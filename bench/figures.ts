import { arch, cpus, loadavg, platform, release } from 'node:os';
import type { Run } from './process.ts';

/** What came of several rounds: the best of each, but for memory, which is the worst. */
export interface Figures {
  readonly eventsPerSecond: number;
  readonly eventsPerCpuSecond: number;
  /** The same without the start of the process: what a long import tends to. */
  readonly eventsPerMovingCpuSecond: number;
  readonly peakMiB: number;
}

export function figuresOf(runs: readonly Run[], events: number): Figures {
  const least = (of: (run: Run) => number) => Math.min(...runs.map(of));
  return {
    eventsPerSecond: perSecond(
      events,
      least(({ movingMs }) => movingMs),
    ),
    eventsPerCpuSecond: perSecond(
      events,
      least(({ cpuMs }) => cpuMs),
    ),
    eventsPerMovingCpuSecond: perSecond(
      events,
      least(({ movingCpuMs }) => movingCpuMs),
    ),
    peakMiB: mebibytes(Math.max(...runs.map(({ peakBytes }) => peakBytes))),
  };
}

export const perSecond = (events: number, ms: number): number => Math.round((events / ms) * 1000);

/** To a tenth. */
export const mebibytes = (bytes: number): number => Math.round((bytes / 1024 ** 2) * 10) / 10;

export const share = (of: number, whole: number): number => Math.round((of / whole) * 1000) / 1000;

/** The value below which `portion` of the values lie. */
export function quantile(values: readonly number[], portion: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(portion * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** For eyes: 1,234,567. */
export const grouped = (value: number): string => value.toLocaleString('en');

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
