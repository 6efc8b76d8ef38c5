import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** File that standard output is appended to. Default: it is collected through a pipe. */
  readonly stdoutFile?: string;
  readonly cwd?: string;
}

/** The program as a child process. */
export interface Program {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  stdout(): string;
  stderr(): string;
  /** Resolves when `check` holds of what stderr has so far. @throws when the program ends before */
  until(check: (stderr: string, stdout: string) => boolean): Promise<void>;
}

/** Starts `qasphere-siem-forwarder ARGS`, from the sources, with no environment but what is given. */
export function startProgram(args: readonly string[], { env = {}, stdoutFile, cwd }: ProgramOptions = {}): Program {
  const file = stdoutFile === undefined ? undefined : openSync(stdoutFile, 'a', 0o600);
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', file ?? 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  });
  if (file !== undefined) closeSync(file);
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    tell();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    tell();
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
  });
  return {
    child,
    ended,
    stdout: () => (stdoutFile === undefined ? stdout : readFileSync(stdoutFile, 'utf8')),
    stderr: () => stderr,
    until: (check) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!check(stderr, stdout)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        void ended.then((code) => {
          look();
          reject(new Error(`the program ended (${code}) before:\n${stderr.slice(-2000)}`));
        });
        look();
      }),
  };
}

/** A checkpoint as stored on disk. */
export function readCheckpoint(state: string, sink: string) {
  return JSON.parse(readFileSync(join(state, 'checkpoints', `${sink}.json`), 'utf8')) as {
    after: string;
    delivered: (string | [string, string])[];
  };
}

/** Whether a checkpoint says that `id` is done. */
export function covers(checkpoint: ReturnType<typeof readCheckpoint>, id: bigint): boolean {
  if (BigInt(checkpoint.after) >= id) return true;
  return checkpoint.delivered.some((range) => {
    const [from, to] = typeof range === 'string' ? [range, range] : range;
    return BigInt(from) <= id && id <= BigInt(to);
  });
}

/** Resolves when `check` holds; looks again every few milliseconds. The test's own timeout bounds it. */
export async function eventually(check: () => boolean, { everyMs = 20 } = {}): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, everyMs));
}
