import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/program.ts';
import { runs } from '../support/runs.ts';

const { configure, directory } = runs();
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const missing =
  spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'needs root to replace /etc/resolv.conf';

/** A name server on loopback that takes questions and answers none. */
async function startDeadNameServer() {
  const socket = createSocket('udp4');
  let questions = 0;
  socket.on('message', () => {
    questions += 1;
  });
  // An address that is used by nothing else: name servers have to be on port 53.
  const address = `127.53.${Math.floor(process.pid / 250) % 250}.${1 + (process.pid % 250)}`;
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(53, address, resolve);
  });
  return {
    address,
    get questions() {
      return questions;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** Starts the program with `address` as the only name server, asked for a minute. */
function startWith(address: string, file: string) {
  const resolv = join(directory, 'resolv.conf');
  writeFileSync(resolv, `nameserver ${address}\noptions timeout:30 attempts:2\n`);
  const script = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"';
  const args = ['--mount', 'sh', '-c', script, 'sh', resolv, process.execPath, main, 'run', '-c', file];
  const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  return { child, ended, stderr: () => stderr };
}

describe.skipIf(missing !== undefined)(
  `while a name is resolved by a dead name server${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    for (const [title, signals, code] of [
      ['SIGTERM ends the program within shutdownTimeout', 1, 0],
      ['a second SIGTERM ends it at once', 2, 130],
    ] as const)
      it(title, async () => {
        await using server = await startDeadNameServer();
        const { file } = configure('https://acme.eu1.qasphere.com');
        writeFileSync(file, `${readFileSync(file, 'utf8')}shutdownTimeout: 2s\n`);
        const { child, ended, stderr } = startWith(server.address, file);
        await eventually(() => server.questions > 0);
        child.kill('SIGTERM');
        if (signals === 2) {
          await eventually(() => stderr().length > 0 || child.exitCode !== null);
          // Signals less than 50 ms apart are one.
          await new Promise((resolve) => setTimeout(resolve, 100));
          child.kill('SIGTERM');
        }
        // The question is still open then: without the fix the exit waits for its thread for up to a minute.
        expect(
          await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20_000, 'still running'))]),
        ).toBe(code);
      });
  },
);
