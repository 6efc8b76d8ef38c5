import { pino } from 'pino';
import { printable } from '../lib/printable.ts';
import { journalPrefix, type LogOutput } from './standard-error.ts';
import type { LogLevel } from './telemetry-event.ts';

export const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type Level = (typeof levels)[number];

export interface Logger {
  log(level: LogLevel, members: Readonly<Record<string, unknown>>, message: string): void;
  /** Whether a line of this level is written. */
  writes(level: LogLevel): boolean;
  setLevel(level: Level): void;
}

/**
 * Writes log lines with pino: JSON, with a priority for the journal, or human-readable on a terminal. No serialiser takes
 * an error object: an HTTP client's error carries the request's headers.
 */
export function createLogger({ level, output }: { readonly level: Level; readonly output: LogOutput }): Logger {
  let current: LogLevel = 'info';
  const format = (line: string): string => {
    if (output.isTerminal) return humanReadable(line);
    return output.isJournal ? `${journalPrefix(current)}${line}` : line;
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {
        err: (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : undefined),
      },
    },
    { write: (line: string) => output.write(format(line)) },
  );
  return {
    log: (at, members, message) => {
      current = at;
      logger[at](members, message);
    },
    writes: (at) => logger.isLevelEnabled(at),
    setLevel: (next) => {
      logger.level = next;
    },
  };
}

const colours: Readonly<Record<string, number>> = { fatal: 41, error: 31, warn: 33, info: 32, debug: 36, trace: 90 };

/** A JSON line as text for a person; it holds no control sequence except the colours. */
function humanReadable(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const label = String(level);
  const members = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const clock = String(time).slice(11, 23);
  const text = printable(String(msg), 2000);
  const tail = printable(members.join(' '), 2000);
  // Erases a progress bar in the same line.
  return `\r\u001b[K\u001b[90m${clock}\u001b[0m \u001b[${colours[label] ?? 0}m${label.toUpperCase().padEnd(5)}\u001b[0m ${text} \u001b[90m${tail}\u001b[0m\n`;
}
