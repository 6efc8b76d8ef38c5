import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { nodeOptions } from '../packaging/bundle.ts';
import type { Reading } from './processes/meter.ts';
import type { Delay, ServerOptions } from './servers/servers.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
export const program = path('../.cache/bench/program/main.js');
const watch = new URL('../.cache/bench/processes/watch.js', import.meta.url).href;
const baseline = path('../.cache/bench/processes/baseline.js');

/** A server in its own process. */
export interface Served extends Disposable {
  readonly url: string;
  readonly token: string;
  readonly caFile: string;
  /** Events a collector has taken, or requests a source has had. */
  count(): Promise<number>;
  /** Bytes of all requests' bodies. */
  bytes(): Promise<number>;
  delays(): Promise<readonly Delay[]>;
}

export async function serve(options: ServerOptions): Promise<Served> {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
  const child = fork(path('servers/serve.ts'), [JSON.stringify(options)], { stdio: [...stdio] });
  const started = await message<{ url: string; token: string; caFile: string }>(child);
  const ask = <T>(question: string): Promise<T> => {
    const answer = message<T>(child);
    child.send(question);
    return answer;
  };
  return {
    ...started,
    count: () => ask('count'),
    bytes: () => ask('bytes'),
    delays: () => ask('delays'),
    [Symbol.dispose]() {
      if (child.connected) child.disconnect();
    },
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

/** A measured process that has exited with 0. */
export interface Run extends Reading {
  /** From the spawn to the end, milliseconds. */
  readonly wallMs: number;
  /** Lines it wrote to standard output. */
  readonly lines: number;
}

/**
 * Runs the built program with the bench's watch in it. `lifted`: without the client's own limit of requests. `options`: of
 * Node; default: those of the packaged starts.
 */
export function runProgram(args: readonly string[], lifted: boolean, options = nodeOptions): Promise<Run> {
  const words = [...options, '--import', watch, program, ...args];
  return start(process.execPath, words, { BENCH_LIFT: lifted ? '1' : '0' }).ended;
}

export function runBaseline(args: readonly string[]): Promise<Run> {
  return start(process.execPath, [baseline, ...args]).ended;
}

/** As users run it, with nothing of the bench in it. */
export function startPlain(command: string, args: readonly string[]): Started {
  return start(command, args);
}

export interface Started {
  readonly pid: number;
  /** How long after the spawn the first byte came on standard output, milliseconds. */
  readonly firstByteMs: Promise<number>;
  /** @throws if it does not exit with 0 */
  readonly ended: Promise<Run>;
  /** SIGTERM, and its end. */
  stop(): Promise<Run>;
}

const nothing: Reading = { cpuMs: 0, movingCpuMs: 0, movingMs: 0, peakBytes: 0 };

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const startMs = performance.now();
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const exit = once(child, 'close');
  const first = Promise.withResolvers<number>();
  let [told, complaint] = ['', ''];
  let lines = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    first.resolve(performance.now() - startMs);
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) lines++;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-4000);
  });
  child.stdio[3]?.on('data', (chunk: Buffer) => {
    told += chunk;
  });
  const end = async (): Promise<Run> => {
    const [code] = await exit;
    first.resolve(Number.POSITIVE_INFINITY);
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}:\n${complaint}`);
    const reading = told === '' ? nothing : (JSON.parse(told) as Reading);
    return { ...reading, wallMs: performance.now() - startMs, lines };
  };
  const ended = end();
  ended.catch(() => {});
  return {
    pid: child.pid ?? 0,
    firstByteMs: first.promise,
    ended,
    stop() {
      child.kill();
      return ended;
    },
  };
}
