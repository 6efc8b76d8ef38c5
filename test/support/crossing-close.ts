/**
 * Runs in its own network namespace: sends a batch that is lost on the way to a collector that closes by itself meanwhile,
 * half-closes, and prints the kinds of the two verdicts. A blackhole rule loses the packets.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { openConnection } from '../../src/sinks/syslog/open-connection.ts';
import { StreamDelivery } from '../../src/sinks/syslog/stream.ts';
import { loadTcpInfo } from '../../src/sinks/syslog/tcp-info.ts';

const ip = (...words: string[]) => execFileSync('ip', words);
ip('link', 'set', 'lo', 'up');
ip('rule', 'add', 'priority', '1', 'from', 'all', 'lookup', 'local');
ip('rule', 'del', 'priority', '0');

let read = 0;
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    read += chunk.length;
  });
  setTimeout(() => socket.end(), 600);
}).listen(0, '127.0.0.3');
await once(server, 'listening');
const address = server.address();
const to = { host: '127.0.0.3', port: typeof address === 'object' && address !== null ? address.port : 0 };
const never = new AbortController().signal;
const where = 'tcp://collector';
const delivery = new StreamDelivery({
  where,
  timeoutMs: 2_000,
  stepMs: 60_000,
  closeWaitMs: 5_000,
  proofMs: 20,
  maxUnconfirmedBytes: 1_000,
  maxUnconfirmedBatches: 100,
  open: (signal) => openConnection({ to, where, timeoutMs: 2_000, tcpInfo: loadTcpInfo() }, signal),
});

const first = await delivery.send(Buffer.from('one'), never);
while (read < 3) await new Promise((resolve) => setTimeout(resolve, 5));
ip('rule', 'add', 'blackhole', 'from', '127.0.0.1', 'to', '127.0.0.3', 'priority', '0');
const second = await delivery.send(Buffer.from('lost'), never);
await delivery.finish(never);
const kinds = [];
for (const answer of [first, second]) kinds.push((answer.kind === 'sent' ? await answer.confirmed : answer).kind);
console.log(JSON.stringify({ kinds, read }));
process.exit(0);
