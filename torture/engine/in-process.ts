/**
 * Runs the program repeatedly inside this process, for thousands of histories. It is the complete shipped command line.
 * Only the kill is simulated: from a chosen point on, nothing reaches the disk or the network, and all its sockets are
 * closed, as the kernel does for a dead process.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { CliContext } from '../../src/cli/command.ts';
import type { dispatch } from '../../src/cli/commands.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { hook, nameOf } from './hooks.ts';
import { sourceModule } from './workspace.ts';

class Killed extends Error {}

/** How long a killed program's code may take to unwind, milliseconds. */
const unwindMs = 10_000;

/** One run of the program, until it exits or is killed. */
class ProgramRun {
  readonly sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #killAt: string | undefined;
  readonly stop = new AbortController();
  readonly kill = new AbortController();
  dead = false;

  constructor(killAt: string | undefined) {
    this.#killAt = killAt;
  }

  reach(kind: string, half?: () => void): void {
    if (this.dead) throw new Killed(kind);
    const k = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, k + 1);
    if (`${kind} ${k}` !== this.#killAt) return;
    half?.();
    this.dead = true;
    for (const socket of this.sockets) socket.destroy();
    // Unwind its code so that it releases the resources of this process; nothing it does has an effect any more.
    setImmediate(() => {
      this.kill.abort(new Killed('killed'));
      this.stop.abort(new Killed('killed'));
    });
    throw new Killed(kind);
  }
}

const currentRun = new AsyncLocalStorage<ProgramRun>();
let command: typeof dispatch | undefined;

/** Call once per process, before the first run. */
export async function prepare(): Promise<void> {
  process.umask(0o077);
  await hook({
    // Code outside a run belongs to the simulated source and collectors.
    reach: (op, path, half) => currentRun.getStore()?.reach(nameOf(op, path), half),
    connecting(socket) {
      const one = currentRun.getStore();
      if (one?.dead) throw new Killed('connect');
      one?.sockets.add(socket);
    },
    isEnd: (error) => error instanceof Killed,
  });
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error) => {
      if (error instanceof Killed || currentRun.getStore()?.dead) return;
      console.error('not caught:', error);
      process.exit(70);
    });
  command = ((await import(sourceModule('cli/commands.ts'))) as { dispatch: typeof dispatch }).dispatch;
}

/** Runs `once`. Returns its exit code, or SIGKILL if it reached the kill point. */
export async function runInProcess(
  args: readonly string[],
  killAt?: string,
): Promise<{ code: number | 'SIGKILL'; stderr: string }> {
  if (command === undefined) throw new Error('not prepared');
  const one = new ProgramRun(killAt);
  let output = '';
  const around: CliContext = {
    env: {},
    signals: { graceful: one.stop.signal, forced: one.kill.signal },
    hangup: new Notifier(),
    setShutdownTimeout() {},
    print: async () => {},
    complain: (line) => {
      output += `${line}\n`;
    },
    stderr: {
      isTerminal: false,
      isJournal: false,
      columns: 80,
      dropped: 0,
      write: (text) => process.stderr.write(text),
      onRoom: () => {},
    },
    confirm: async () => true,
  };
  const ended = currentRun.run(one, () =>
    (command as typeof dispatch)(args, around).catch((error: Error) => {
      output += `${error.stack ?? error.message}\n`;
      return 70;
    }),
  );
  const late = Promise.withResolvers<never>();
  const watch = setInterval(() => {
    if (!one.dead) return;
    clearInterval(watch);
    timer = setTimeout(() => late.reject(new Error(`does not unwind after ${killAt}`)), unwindMs);
  }, 100);
  let timer: NodeJS.Timeout | undefined;
  try {
    const code = await Promise.race([ended, late.promise]);
    return { code: one.dead ? 'SIGKILL' : code, stderr: output };
  } finally {
    clearInterval(watch);
    clearTimeout(timer);
    // Close what a surviving run left open, as its exit would.
    for (const socket of one.sockets) socket.destroy();
  }
}
