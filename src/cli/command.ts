import type { Notifier } from '../lib/notifier.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';

/** One flag, for parseArgs and for the help. */
export interface Flag {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: true;
  /** What the value is called in the help. */
  readonly value?: string;
  readonly describes: string;
}

/** What a command gets from the ctx. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signals: ShutdownSignals;
  /** Fires at SIGHUP. */
  readonly hangup: Notifier;
  /** How long a stop may take, milliseconds; `main` aborts `signals.forced` at three quarters of it. */
  setShutdownTimeout(ms: number): void;
  /** Writes to stdout; resolves when it is out. */
  print(text: string): Promise<void>;
  /** Writes a line to stderr. */
  complain(line: string): unknown;
  readonly stderrIsTerminal: boolean;
  /** Asks a person a question that is answered by yes or no; true at once where standard input is no terminal. */
  confirm(question: string): Promise<boolean>;
}

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Command {
  readonly summary: string;
  /** What follows the command's name in the usage line, for example `[options]`. */
  readonly usage: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Positional arguments taken, at most. */
  readonly positionals?: number;
  /** More to say in the help. */
  readonly notes?: string;
  /** @returns the exit code */
  run(values: Values, positionals: readonly string[], cli: CliContext): Promise<number>;
}

/** A wrong command line: one line, exit code 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** For commands that ask before they act. */
export const yesFlag: Flag = { type: 'boolean', short: 'y', describes: 'do not ask' };

export const jsonFlag: Flag = {
  type: 'boolean',
  describes: 'the answer as one line of JSON; ids are strings of digits',
};

export const configFlag: Flag = {
  type: 'string',
  short: 'c',
  value: 'FILE',
  describes: 'configuration file; default /etc/qasphere-siem-forwarder/config.yaml, else the environment',
};
