import { Notifier } from '../lib/notifier.ts';
import { printable } from '../lib/printable.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import { StrayErrors } from '../lib/stray-errors.ts';
import { journalPrefix, StandardError } from '../telemetry/standard-error.ts';
import { UsageError } from './command.ts';
import { dispatch } from './commands.ts';

/** The process's signals and its end, as the entry point holds them. */
export interface ProcessControl {
  readonly signals: ShutdownSignals;
  /** `listener` is called at each SIGHUP, and at once if one came before. */
  onHangup(listener: () => void): void;
  /** How long a stop may take, milliseconds; `signals.forced` fires at three quarters of it. */
  setShutdownTimeout(ms: number): void;
  exit(code: number): void;
}

const program = 'qasphere-siem-forwarder';

/** Runs the command line. @returns the exit code */
export async function runProgram(
  argv: readonly string[],
  { signals, onHangup, setShutdownTimeout, exit }: ProcessControl,
): Promise<number> {
  const stderr = new StandardError(process.env);
  process.on('exit', () => stderr.flush());
  // Everything written outside the log is an error.
  const prefix = stderr.isJournal ? journalPrefix('error') : '';
  const complain = (line: string) => stderr.write(`${prefix}${line}\n`);
  const strayErrors = new StrayErrors();
  // Without a listener for rejections each would come here as well.
  process.on('uncaughtException', (error) => {
    if (strayErrors.isClaimed(error)) return;
    reportBug(error, complain);
    exit(70);
  });
  hideExperimentalWarnings();
  process.umask(0o077);
  const hangup = new Notifier();
  onHangup(() => hangup.notify());
  try {
    return await dispatch(argv, {
      env: process.env,
      signals,
      hangup,
      strayErrors,
      setShutdownTimeout,
      print: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
      complain,
      stderr,
      confirm: async (question) => process.stdin.isTTY !== true || confirm(question, signals.graceful),
    });
  } catch (error) {
    const { codeOf, exitCode } = await import('./exit-code.ts');
    const code = codeOf(error);
    if (code === exitCode.bug) reportBug(error, complain);
    else
      complain(
        `${program}: ${error instanceof UsageError ? error.message : printable((error as Error).message, 2000)}`,
      );
    return code;
  }
}

/** Asks on stderr and reads a line of standard input: true for y or yes; false if `stop` fires or input ends. */
async function confirm(question: string, stop: AbortSignal): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new AbortController();
  lines.once('close', () => ended.abort());
  // On a terminal readline consumes Ctrl-C.
  lines.on('SIGINT', () => lines.close());
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: AbortSignal.any([stop, ended.signal]) });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    return false;
  } finally {
    lines.close();
  }
}

/** Standard error is the log, and whoever reads it can do nothing about `node:ffi` being experimental. */
function hideExperimentalWarnings(): void {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning').on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const listener of listeners) listener(warning);
  });
}

/** Writes name, message and stack frames only: an error's other members may hold secrets or audit data. */
function reportBug(error: unknown, complain: (line: string) => void): void {
  const { name, message, stack } = error instanceof Error ? error : { name: 'throw', message: '', stack: '' };
  complain(`${program}: internal error, please report it: ${name}: ${printable(message, 500)}`);
  const frames = (stack ?? '').split('\n').filter((text) => /^\s+at /.test(text));
  for (const line of frames.slice(0, 12)) complain(line);
}
