/**
 * A thread with a TLS server that sends close_notify once it has read something, and delays its FIN until the other side's
 * has arrived, as a shutdown in both directions does. It posts its port; `said` changes from 0 to 1 once the close_notify is
 * on its way.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';

const { cert, key, said } = workerData as { cert: string; key: string; said: Int32Array };
const listening = async (server: ReturnType<typeof createServer>) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const secure = createTlsServer({ cert, key, allowHalfOpen: true }, (socket) =>
  socket.on('error', () => {}).once('data', () => socket.end()),
);
const port = await listening(secure);
/** Everything passes through here but the FIN that follows the close_notify. */
const between = createServer({ allowHalfOpen: true }, (near: Socket) => {
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  for (const socket of [near, far]) socket.on('error', () => {}).setNoDelay();
  near
    .on('data', (chunk) => far.write(chunk))
    .on('end', () => {
      far.end();
      near.end();
    });
  far
    .on('data', (chunk) => near.write(chunk))
    .on('end', () => {
      Atomics.store(said, 0, 1);
      Atomics.notify(said, 0);
    });
});
parentPort?.postMessage(await listening(between));
