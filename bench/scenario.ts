import type { Judgement } from './judgement.ts';
import type { Bench } from './workspace.ts';

/** Which table a row stands in, and its columns. */
export const groups = {
  import: {
    title: 'First import, no limit at the API',
    head: [
      'to',
      'events',
      'events/s',
      'events/CPU s',
      'without start',
      'baseline',
      'share of baseline',
      'peak MiB',
      'baseline MiB',
    ],
  },
  peers: {
    title: 'Beside rsyslog and syslog-ng',
    head: ['', 'events', 'events/s', 'events/CPU s', 'slowest round', 'forwarder is', 'peak MiB'],
  },
  growth: {
    title: 'Growth',
    head: ['', 'events', 'events/s', 'records/CPU s', 'without start', 'peak MiB'],
  },
  tuning: {
    title: 'What settings do to an import to HEC',
    head: ['', 'events', 'events/s', 'events/CPU s', 'without start', 'bytes an event', 'peak MiB'],
  },
  small: { title: 'Time and rest', head: ['', 'measured'] },
} as const;

export interface Outcome {
  readonly group: keyof typeof groups;
  readonly rows: readonly (readonly string[])[];
  readonly judgements?: readonly Judgement[];
  /** Everything measured, for programs: by what, by name. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Versions of what else took part. */
  readonly versions?: Readonly<Record<string, string>>;
  /** What was not measured, and why. */
  readonly skipped?: readonly string[];
  /** Why nothing was measured: a record that did not arrive, a program that did not end well. */
  readonly failed?: string;
}

export interface Scenario {
  readonly name: string;
  run(bench: Bench): Promise<Outcome>;
}
