import { chmod, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Status } from './status.ts';

const fileName = 'status.sock';
const MAX_CONNECTIONS = 8;
const idleMs = 5_000;
const MAX_ANSWER_BYTES = 1024 ** 2;

/**
 * Serves the status at `<directory>/status.sock`, 0600. Each connection gets one answer; its input is ignored. The directory
 * must be locked by this process: an existing socket was left by an earlier one.
 * @throws the error of `listen`, for example if the path is too long for a socket (107 bytes on Linux)
 */
export async function serveStatus(directory: string, status: () => Status): Promise<AsyncDisposable> {
  const path = join(directory, fileName);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.resume();
    socket.end(`${JSON.stringify(status())}\n`);
  });
  server.maxConnections = MAX_CONNECTIONS;
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

/** The status of the daemon that holds `directory`, or undefined if none runs. */
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
      if (text.length > MAX_ANSWER_BYTES) done();
    });
  });
}

function parse(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status;
    return value.format === 1 ? value : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
