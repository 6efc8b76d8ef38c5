import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scratch } from '../support/scratch.ts';

const { file, directory } = scratch();
let pipes = 0;
const source = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));

/** A script with a logger on standard error, as the program sets it up. */
const script = (body: string) => [
  '--input-type=module',
  '-e',
  `
  const { StandardError } = await import(${JSON.stringify(source('telemetry/standard-error.ts'))});
  const { createLogger } = await import(${JSON.stringify(source('telemetry/logger.ts'))});
  const output = new StandardError(process.env);
  process.on('exit', () => output.flush());
  const logger = createLogger({ level: 'trace', output });
  output.onRoom((lines) => logger.log('warn', { event: 'log.dropped', lines }, 'dropped'));
  ${body}
`,
];
const logLines = (count: number) =>
  `for (let i = 0; i < ${count}; i++) logger.log('info', { i, text: 'x'.repeat(200) }, 'line');`;

interface Line {
  readonly event?: string;
  readonly lines?: number;
  readonly i?: number;
}
const parsed = (output: string) =>
  output
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

/** A pipe: its write end for a child, and what reads it. */
function pipe(): { readonly end: number; open(): Socket } {
  const path = `${directory}/fifo-${++pipes}`;
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const end = openSync(path, constants.O_WRONLY);
  return {
    end,
    open() {
      closeSync(end);
      return new Socket({ fd: reader, readable: true, writable: false });
    },
  };
}

describe('standard error whose reader is stalled', () => {
  it.each(['pipe', 'socket'] as const)('does not block a %s, and reports how many lines were dropped', async (kind) => {
    const count = 20_000;
    const { end, open } = kind === 'pipe' ? pipe() : { end: 'pipe' as const, open: undefined };
    const body = `${logLines(count)} process.stdout.write('logged'); process.stdin.resume();`;
    const child = spawn(process.execPath, script(body), { stdio: ['pipe', 'pipe', end] });
    // Nothing is read before the child is done with its lines.
    await once(child.stdout as Readable, 'data');
    const reader = open?.() ?? (child.stderr as Readable);
    reader.on('data', (chunk) => String(chunk).includes('log.dropped') && child.stdin?.end());
    const lines = parsed(await text(reader));
    const logged = lines.filter(({ i }) => i !== undefined);
    expect(logged.map(({ i }) => i)).toEqual(Array.from(logged, (_, i) => i));
    expect(lines.at(-1)).toMatchObject({ event: 'log.dropped', lines: count - logged.length });
    // 1 MiB of lines, and what the system buffers.
    expect(logged.length).toBeGreaterThan(3_000);
  });

  it('does not keep the process from its exit', async () => {
    const { end, open } = pipe();
    const child = spawn(process.execPath, script(logLines(20_000)), { stdio: ['ignore', 'ignore', end] });
    expect(await once(child, 'exit')).toEqual([0, null]);
    open().destroy();
  });
});

describe('standard error whose reader reads', () => {
  it('gets every line that is written just before the exit', async () => {
    const { end, open } = pipe();
    const child = spawn(process.execPath, script(`${logLines(3_000)} process.exit(70);`), {
      stdio: ['ignore', 'ignore', end],
    });
    const output = text(open());
    expect(await once(child, 'exit')).toEqual([70, null]);
    expect(parsed(await output).map(({ i }) => i)).toEqual(Array.from({ length: 3_000 }, (_, i) => i));
  });
});

describe('standard error that cannot be written', () => {
  it('does not end the process', () => {
    const full = openSync('/dev/full', 'w');
    const { status } = spawnSync(process.execPath, script(logLines(10)), { stdio: ['ignore', 'ignore', full] });
    closeSync(full);
    expect(status).toBe(0);
  });
});

/** What a process writes to a stderr that JOURNAL_STREAM names, or another. */
function written(name: string, args: readonly string[], stream: (dev: number, ino: number) => string): string {
  const path = file(name, '');
  const { dev, ino } = statSync(path);
  const stderr = openSync(path, 'a');
  spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', stderr], env: { JOURNAL_STREAM: stream(dev, ino) } });
  closeSync(stderr);
  return readFileSync(path, 'utf8');
}

const everyLevel = script(
  `for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace']) logger.log(level, { a: 1 }, level);`,
);

describe('a line in the journal', () => {
  it('carries the priority of its level before the JSON', () => {
    const lines = written('a', everyLevel, (dev, ino) => `${dev}:${ino}`)
      .trim()
      .split('\n');
    expect(lines.map((line) => line.slice(0, 3))).toEqual(['<2>', '<3>', '<4>', '<6>', '<7>', '<7>']);
    expect(lines.map((line) => JSON.parse(line.slice(3)).level)).toEqual([
      'fatal',
      'error',
      'warn',
      'info',
      'debug',
      'trace',
    ]);
  });

  it('has no priority if stderr goes elsewhere', () => {
    const lines = written('b', everyLevel, (dev, ino) => `${dev}:${ino + 1}`).trim();
    expect(lines.split('\n').every((line) => line.startsWith('{'))).toBe(true);
  });

  it('has the priority of an error outside the log', () => {
    expect(written('c', [source('main.ts'), 'rnu'], (dev, ino) => `${dev}:${ino}`)).toMatch(
      /^<3>qasphere-siem-forwarder: there is no command "rnu"/,
    );
  });
});
