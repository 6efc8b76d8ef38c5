import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface FullBacklog extends AsyncDisposable {
  readonly port: number;
  /** Accepts connections from now on: the kernel repeats the first packet of a waiting one 1 s, 3 s, … after the first. */
  release(): void;
}

/** A server on 127.0.0.1 whose kernel drops the first packet of each new connection, as over a link that loses everything. */
export async function fullBacklog(): Promise<FullBacklog> {
  const script = `const server = require('node:net').createServer((socket) => socket.on('error', () => {}).resume());
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const port = Number(String((await once(child.stdout, 'data'))[0]));
  child.kill('SIGSTOP');
  const fillers: Socket[] = [];
  for (let count = 0; count < 2; count++) {
    const filler = connect(port, '127.0.0.1').on('error', () => {});
    fillers.push(filler);
    await once(filler, 'connect');
  }
  return {
    port,
    release: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
      await exited;
    },
  };
}
