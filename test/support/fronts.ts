import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface Front extends AsyncDisposable {
  readonly port: number;
  /** Hosts and ports that a client asked a proxy to connect to. */
  readonly connected: readonly string[];
}

/** HTTPS on loopback before a plain HTTP server. */
export async function tlsFront(target: string, leaf: { certFile: string; keyFile: string }): Promise<Front> {
  const files = { cert: readFileSync(leaf.certFile), key: readFileSync(leaf.keyFile) };
  const server = createTlsServer(files, (incoming, outgoing) => {
    const { method, headers, url } = incoming;
    const onward = request(target + url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  return listening(server);
}

/** An HTTP proxy on loopback that connects to wherever it is asked, or refuses everyone with a status. */
export async function proxyFront(refuses?: number): Promise<Front> {
  const connected: string[] = [];
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connect', (incoming, socket: Socket, head: Buffer) => {
    connected.push(incoming.url ?? '');
    socket.on('error', () => {});
    if (refuses !== undefined) return socket.end(`HTTP/1.1 ${refuses} No\r\nContent-Length: 0\r\n\r\n`);
    const [host, port] = (incoming.url ?? '').split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    return undefined;
  });
  return listening(server, connected);
}

async function listening(server: ReturnType<typeof createServer>, connected: string[] = []): Promise<Front> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connected,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
