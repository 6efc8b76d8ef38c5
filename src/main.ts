#!/usr/bin/env node
// Imports nothing statically: static imports are evaluated first, and a signal that arrives while they load would be
// lost (SIGHUP), end the process without a drain (SIGTERM) or, as PID 1, be dropped by the kernel.
import type { ProcessControl } from './cli/program.ts';

const oldestNode = 26;
/** npm passes a Ctrl-C on to a child that the terminal has signalled already: a repeat this soon is the same signal. */
const repeatMs = 50;
/** The share of `shutdownTimeout` for the drain; after it, what is in flight is dropped. */
const drainShare = 0.75;
/** How long handles that are still open may delay the exit, milliseconds. */
const lingerMs = 1_000;

const graceful = new AbortController();
const forced = new AbortController();
let shutdownTimeoutMs = 8_000;
let signalledMs = 0;
let hangups = 0;
let onHangup = () => {};

function onStopSignal(signal: NodeJS.Signals): void {
  if (graceful.signal.aborted) {
    if (performance.now() - signalledMs > repeatMs) exit(130);
    return;
  }
  signalledMs = performance.now();
  graceful.abort(new Error(signal));
  setTimeout(() => forced.abort(new Error('out of time')), shutdownTimeoutMs * drainShare).unref();
  setTimeout(() => exit(process.exitCode ?? 0), shutdownTimeoutMs).unref();
}

/**
 * Exits at once. `process.exit` alone would join libuv's thread pool, and a thread that resolves a name through dead DNS
 * servers returns after 20 s or more: _exit(2) does not wait for it. Without `node:ffi` the exit waits.
 */
function exit(code: number | string): void {
  process.once('exit', (status) => {
    const ffi = process.getBuiltinModule('node:ffi');
    ffi?.dlopen(null, { _exit: { arguments: ['int32'], return: 'void' } }).functions._exit(status);
  });
  process.exit(code);
}

process.on('SIGTERM', onStopSignal).on('SIGINT', onStopSignal);
process.on('SIGHUP', () => {
  hangups += 1;
  onHangup();
});
// Without a listener Node opens its debugger at this signal.
process.on('SIGUSR1', () => {});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

async function main(): Promise<number> {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) < oldestNode) {
    process.stderr.write(`qasphere-siem-forwarder: needs Node ${oldestNode} or newer, this is ${node}\n`);
    return 70;
  }
  const control: ProcessControl = {
    signals: { graceful: graceful.signal, forced: forced.signal },
    onHangup(listener) {
      onHangup = listener;
      if (hangups > 0) listener();
    },
    setShutdownTimeout(ms) {
      shutdownTimeoutMs = ms;
    },
    exit,
  };
  return (await import('./cli/program.ts')).runProgram(process.argv.slice(2), control);
}

process.exitCode = await main();
setTimeout(() => exit(process.exitCode ?? 0), lingerMs).unref();
