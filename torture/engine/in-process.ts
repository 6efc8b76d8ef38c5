/**
 * The program inside this process, many times after one another, for histories by the thousand. It is the whole command line
 * of what is shipped; only its end is a model: from a chosen point on nothing of it reaches the disk or the network any
 * more, and its sockets are closed, as the kernel does it for a process that dies.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { CliContext } from '../../src/cli/command.ts';
import type { dispatch } from '../../src/cli/commands.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { hook, nameOf } from './hooks.ts';
import { sourceModule } from './workspace.ts';

class Killed extends Error {}

/** How long the code of a dead program may take to come to its end, milliseconds. */
const unwindMs = 10_000;

/** One run of the program, until its end or its death. */
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
    // Its code comes to an end, so that what it holds of this process is given back; none of it has an effect.
    setImmediate(() => {
      this.kill.abort(new Killed('killed'));
      this.stop.abort(new Killed('killed'));
    });
    throw new Killed(kind);
  }
}

const currentRun = new AsyncLocalStorage<ProgramRun>();
let command: typeof dispatch | undefined;

/** Once a process, before the first run. */
export async function prepare(): Promise<void> {
  process.umask(0o077);
  await hook({
    // What has no incarnation is the other side: the source and the collectors.
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

/** Runs `once`; gives its exit code, or SIGKILL where it came to the point at which it dies. */
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
    // What a living one left open is closed as by its exit.
    for (const socket of one.sockets) socket.destroy();
  }
}
