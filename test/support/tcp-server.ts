import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
  /** Every connection so far, in order. */
  readonly sockets: readonly Socket[];
  /** Everything received, by connection. */
  readonly received: readonly (readonly Buffer[])[];
  /** All received bytes of one connection, as text. */
  text(connection?: number): string;
  /** Resolves once `condition` holds, checked after each chunk of data, connection and close. */
  until(condition: () => boolean): Promise<void>;
}

/** A local server on a port or path that reads everything; `onConnection` may do more. */
export async function tcpServer(
  onConnection: (socket: Socket, index: number) => void = () => {},
  options: {
    readonly allowHalfOpen?: boolean;
    readonly pauseOnConnect?: boolean;
    readonly path?: string;
    readonly port?: number;
  } = {},
): Promise<TcpServer> {
  const sockets: Socket[] = [];
  const received: Buffer[][] = [];
  let waiting: { condition: () => boolean; resolve: () => void }[] = [];
  const look = () => {
    const ready = waiting.filter(({ condition }) => condition());
    waiting = waiting.filter((one) => !ready.includes(one));
    for (const { resolve } of ready) resolve();
  };
  const server = createServer(options, (socket) => {
    const pieces: Buffer[] = [];
    received.push(pieces);
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('close', look);
    socket.on('end', () => setImmediate(look));
    if (!options.pauseOnConnect)
      socket.on('data', (chunk: Buffer) => {
        pieces.push(chunk);
        setImmediate(look);
      });
    onConnection(socket, sockets.length - 1);
    look();
  });
  if (options.path === undefined) server.listen(options.port ?? 0, '127.0.0.1');
  else server.listen(options.path);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    server,
    sockets,
    received,
    text: (connection = 0) => Buffer.concat(received[connection] ?? []).toString('utf8'),
    until(condition) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ condition, resolve });
      look();
      return promise;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
