#!/usr/bin/env node
import { UsageError } from './cli/command.ts';
import { dispatch } from './cli/commands.ts';
import { Notifier } from './lib/notifier.ts';
import { printable } from './lib/printable.ts';
import { journalPrefix, stderrIsJournal } from './telemetry/systemd-journal.ts';

const oldestNode = 26;
/** A signal that comes again so soon is the same one. */
const echoMs = 50;
/** What is said outside the log are errors. */
const mark = stderrIsJournal(process.env) ? journalPrefix('error') : '';

/** Standard error is the log, and that `node:ffi` is experimental is nothing its reader can act on. */
function withoutExperimentalWarnings(): void {
  const shown = process.listeners('warning');
  process.removeAllListeners('warning').on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const show of shown) show(warning);
  });
}

async function main(): Promise<number> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < oldestNode) {
    complain(`needs Node ${oldestNode} or newer, this is ${process.versions.node}`);
    return 70;
  }
  withoutExperimentalWarnings();
  process.umask(0o077);
  const stop = new AbortController();
  const kill = new AbortController();
  const hangup = new Notifier();
  let shutdownTimeoutMs = 8_000;
  let signalledMs = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) {
      // npm hands a Ctrl-C on to a child that had it from the terminal already: that is one signal, not two.
      if (performance.now() - signalledMs > echoMs) process.exit(130);
      return;
    }
    signalledMs = performance.now();
    stop.abort(new Error(signal));
    // What does not end by itself is cut off, and what does not even then is left behind: checkpoints are.
    setTimeout(() => kill.abort(new Error('out of time')), shutdownTimeoutMs * 0.75).unref();
    setTimeout(() => process.exit(process.exitCode ?? 0), shutdownTimeoutMs).unref();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('SIGHUP', () => hangup.notify());

  try {
    return await dispatch(process.argv.slice(2), {
      env: process.env,
      signals: { graceful: stop.signal, forced: kill.signal },
      hangup,
      setShutdownTimeout: (ms) => {
        shutdownTimeoutMs = ms;
      },
      print: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
      complain: (line) => process.stderr.write(`${mark}${line}\n`),
      stderrIsTerminal: process.stderr.isTTY === true,
      confirm: async (question) =>
        process.stdin.isTTY !== true || (await import('./cli/confirm.ts')).confirm(question, stop.signal),
    });
  } catch (error) {
    const { codeOf, exitCode } = await import('./cli/exit-code.ts');
    if (error instanceof UsageError) {
      complain(error.message);
      return exitCode.usage;
    }
    if (codeOf(error) === exitCode.bug) crash(error);
    else complain(printable((error as Error).message, 2000));
    return codeOf(error);
  }
}

function complain(line: string): void {
  process.stderr.write(`${mark}qasphere-siem-forwarder: ${line}\n`);
}

/** Name, message and frames: an error's other members may hold what nobody should read. */
function crash(error: unknown): void {
  const { name, message, stack } = error instanceof Error ? error : { name: 'throw', message: '', stack: '' };
  complain(`our own fault, please report it: ${name}: ${printable(message, 500)}`);
  for (const line of (stack ?? '')
    .split('\n')
    .filter((text) => /^\s+at /.test(text))
    .slice(0, 12))
    process.stderr.write(`${mark}${line}\n`);
}

process.on('uncaughtException', (error) => {
  crash(error);
  process.exit(70);
});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

process.exitCode = await main();
// Nothing should be left by now; what is must not hold the exit up.
setTimeout(() => process.exit(), 1_000).unref();
