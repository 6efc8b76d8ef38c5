import { chmod, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Status } from './status.ts';

const fileName = 'status.sock';
const mostConnections = 8;
const idleMs = 5_000;
const mostAnswerBytes = 1024 ** 2;

/**
 * Serves the status at `<directory>/status.sock`, 0600: who connects is told once, and nothing he says is read. The
 * directory must be locked by this process: a socket that is there was left by an earlier one.
 * @throws the error of `listen`, for example where the path is longer than a socket's may be (107 bytes on Linux)
 */
export async function serveStatus(directory: string, status: () => Status): Promise<AsyncDisposable> {
  const path = join(directory, fileName);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.resume();
    socket.end(`${JSON.stringify(status())}\n`);
  });
  server.maxConnections = mostConnections;
  await rm(path, { force: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, resolve);
  await promise;
  server.on('error', () => {});
  await chmod(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

/** What the daemon that holds `directory` says, or undefined where none is running there. */
export function askStatus(directory: string): Promise<Status | undefined> {
  return new Promise((resolve) => {
    const socket = connect(join(directory, fileName)).setEncoding('utf8');
    let text = '';
    const done = () => {
      socket.destroy();
      resolve(parse(text));
    };
    socket.setTimeout(idleMs, done);
    socket.on('error', done).on('end', done);
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > mostAnswerBytes) done();
    });
  });
}

function parse(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status;
    return value.format === 1 ? value : undefined;
  } catch {
    return undefined;
  }
}
