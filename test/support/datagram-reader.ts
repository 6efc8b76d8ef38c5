import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface DatagramReader {
  /** The first `count` datagrams, once they have come. */
  messages(count: number): Promise<string[]>;
  /** Begins to read. */
  read(): void;
  stop(): Promise<void>;
}

const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('ready', flush=True)
sys.stdin.readline()
while True:
    sys.stdout.buffer.write(s.recv(1000000) + b'\\n')
    sys.stdout.flush()
`;

/** A process that binds a Unix datagram socket, which Node can't, and reads it. */
export async function datagramReader(path: string, { reading = true } = {}): Promise<DatagramReader> {
  const child = spawn('python3', ['-c', program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const lines = () => said.split('\n').slice(1, -1);
  while (!said.startsWith('ready\n')) await once(child.stdout, 'data');
  const read = () => void child.stdin.write('\n');
  if (reading) read();
  return {
    read,
    async messages(count) {
      while (lines().length < count) await once(child.stdout, 'data');
      return lines();
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill();
      await once(child, 'exit');
    },
  };
}
