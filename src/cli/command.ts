import type { Notifier } from '../lib/notifier.ts';
import { parseDuration } from '../lib/options/values.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { StrayErrors } from '../lib/stray-errors.ts';
import type { LogOutput } from '../telemetry/standard-error.ts';

/** One flag, for parseArgs and for the help. */
export interface Flag {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: true;
  /** Name of the value in the help. */
  readonly value?: string;
  readonly describes: string;
}

/** What a command gets from its process. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signals: ShutdownSignals;
  /** Notified at each SIGHUP. */
  readonly hangup: Notifier;
  readonly strayErrors?: StrayErrors;
  /** How long a stop may take, milliseconds; `signals.forced` fires at three quarters of it. */
  setShutdownTimeout(ms: number): void;
  /** Writes to stdout; resolves when it is written. */
  print(text: string): Promise<void>;
  /** Writes a line to stderr. */
  complain(line: string): unknown;
  readonly stderr: LogOutput;
  /** Asks a yes-or-no question; true at once if standard input is not a terminal. */
  confirm(question: string): Promise<boolean>;
}

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Command {
  readonly summary: string;
  /** What follows the command's name in the usage line, for example `[options]`. */
  readonly usage: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** The most positional arguments it takes; default 0. */
  readonly positionals?: number;
  /** The last paragraph of the help. */
  readonly notes?: string;
  /** @returns the exit code */
  run(values: Values, positionals: readonly string[], cli: CliContext): Promise<number>;
}

/** The command line is wrong; the message is one line. Exit code 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** For commands that ask before they act. */
export const yesFlag: Flag = { type: 'boolean', short: 'y', describes: 'do not ask for confirmation' };

export const jsonFlag: Flag = {
  type: 'boolean',
  describes: 'print one line of JSON; ids are strings of digits',
};

export const configFlag: Flag = {
  type: 'string',
  short: 'c',
  value: 'FILE',
  describes: 'configuration file; default: /etc/qasphere-siem-forwarder/config.yaml if it exists, else the environment',
};

const maxPatienceMs = 24 * 3_600_000;

export const patienceFlag: Flag = {
  type: 'string',
  value: 'DURATION',
  describes: 'give up a source or sink without progress for this long (default 2m, at most 24h)',
};

/** Milliseconds of the value of `patienceFlag`. @throws {UsageError} */
export function patienceMsOf(value: Values[string]): number {
  const ms = parseDuration(typeof value === 'string' ? value : '2m');
  if (ms === undefined || ms > maxPatienceMs)
    throw new UsageError('--patience: write a duration of at most 24h, such as 30s or 2m');
  return ms;
}
