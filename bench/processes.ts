import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Reading } from './child/meter.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const program = path('../dist/main.js');
const watch = new URL('../.cache/bench/watch.js', import.meta.url).href;
const floor = path('../.cache/bench/floor.js');

/** A far side in its own process. */
export interface Served extends Disposable {
  readonly url: string;
  readonly token: string;
  /** Events a HEC has taken, or requests a source has had. */
  count(): Promise<number>;
}

export async function serve(...args: readonly (string | number)[]): Promise<Served> {
  const child = fork(path('serve.ts'), args.map(String), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const { url, token } = await message<{ url: string; token: string }>(child);
  return {
    url,
    token,
    async count() {
      const answer = message<{ count: number }>(child);
      child.send('count');
      return (await answer).count;
    },
    [Symbol.dispose]: () => child.disconnect(),
  };
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('a server of the bench ended early'));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as T);
    });
  });
}

/** A measured process that has ended well. */
export interface Run extends Reading {
  /** Lines it wrote to standard output. */
  readonly lines: number;
  /** From the spawn to the first byte on standard output, milliseconds; undefined where there was none. */
  readonly firstByteMs: number | undefined;
}

/** Runs the built program with the bench's watch in it; `lifted`: without the client's own ceiling of requests. */
export function runProgram(args: readonly string[], lifted: boolean): Promise<Run> {
  return run(['--import', watch, program, ...args], { BENCH_LIFT: lifted ? '1' : '0' });
}

export function runFloor(args: readonly string[]): Promise<Run> {
  return run([floor, ...args], {});
}

async function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> {
  const startMs = performance.now();
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const exit = once(child, 'close');
  let [told, complaint] = ['', ''];
  let lines = 0;
  let firstByteMs: number | undefined;
  child.stdout?.on('data', (chunk: Buffer) => {
    firstByteMs ??= performance.now() - startMs;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) lines++;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-4000);
  });
  child.stdio[3]?.on('data', (chunk: Buffer) => {
    told += chunk;
  });
  const [code] = await exit;
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}:\n${complaint}`);
  return { ...(JSON.parse(told) as Reading), lines, firstByteMs };
}
