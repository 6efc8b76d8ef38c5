import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMsOf, memoryOf } from '../proc.ts';
import type { Run, Served } from '../process.ts';

export interface Command {
  readonly program: string;
  readonly words: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Another program that moves records. */
export interface Peer {
  readonly name: string;
  /** Why it can't be started here. */
  readonly missing: string | undefined;
  version(): string;
  /** Writes its configuration into `directory`: all lines of `file` to the collector `to`. */
  command(directory: string, file: string, to: Served): Command;
}

/** No peer takes longer than this, milliseconds. */
const limitMs = 180_000;

/** From its start until the collector has counted `expected` records; CPU of all its threads. */
export async function runPeer({ program, words, env }: Command, to: Served, expected: number): Promise<Run> {
  const before = await to.count();
  const startMs = performance.now();
  const child: ChildProcess = spawn(program, words, {
    ...(env === undefined ? {} : { env }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exit = once(child, 'exit');
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-4000);
  });
  const pid = child.pid ?? 0;
  try {
    let came = 0;
    while (came < expected) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() - startMs > limitMs)
        throw new Error(`${came} of ${expected} records came from ${program}: ${said}`);
      await sleep(10);
      came = (await to.count()) - before;
    }
    if (came > expected) throw new Error(`${came} records came from ${program}, not ${expected}`);
    const [wallMs, cpuMs] = [performance.now() - startMs, cpuMsOf(pid)];
    return { wallMs, movingMs: wallMs, cpuMs, movingCpuMs: cpuMs, peakBytes: memoryOf(pid, 'VmHWM'), lines: 0 };
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill();
    await exit;
  }
}
