import { pino } from 'pino';
import { printable } from '../lib/printable.ts';
import { journalPrefix } from './systemd-journal.ts';

export type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
export const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Writes log lines; each is on its way to stderr when the call returns. */
export interface Logger {
  log(level: Exclude<Level, 'silent'>, members: Readonly<Record<string, unknown>>, message: string): void;
  /** Whether a line of this level is written. */
  writes(level: Exclude<Level, 'silent'>): boolean;
  setLevel(level: Level): void;
}

export interface LoggerOptions {
  readonly level: Level;
  /** Whether a person reads along: lines for eyes instead of JSON. */
  readonly terminal: boolean;
  /** Whether the lines go into the journal: each says its priority. */
  readonly journal?: boolean;
}

/**
 * pino on stderr, synchronous: stdout is for records, and no line is lost at exit. No error object is ever logged whole
 * (an HTTP client's carries the request's headers), so there is no serialiser for one.
 */
export function createLogger({ level, terminal, journal = false }: LoggerOptions): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  // A log reader that went away must not end the process.
  destination.on('error', () => {});
  let saying: string = level;
  const shape = terminal ? forEyes : journal ? (line: string) => `${journalPrefix(saying)}${line}` : undefined;
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
    shape === undefined ? destination : { write: (line: string) => destination.write(shape(line)) },
  );
  return {
    log: (at, members, message) => {
      saying = at;
      logger[at](members, message);
    },
    writes: (at) => logger.isLevelEnabled(at),
    setLevel: (next) => {
      logger.level = next;
    },
  };
}

const colours: Readonly<Record<string, number>> = { fatal: 41, error: 31, warn: 33, info: 32, debug: 36, trace: 90 };

/** One JSON line as a person reads it; nothing in it can steer the terminal. */
export function forEyes(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const label = String(level);
  const members = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const clock = String(time).slice(11, 23);
  const text = printable(String(msg), 2000);
  const tail = printable(members.join(' '), 2000);
  // Whatever stands in the line already (a progress bar) is wiped.
  return `\r\u001b[K\u001b[90m${clock}\u001b[0m \u001b[${colours[label] ?? 0}m${label.toUpperCase().padEnd(5)}\u001b[0m ${text} \u001b[90m${tail}\u001b[0m\n`;
}
