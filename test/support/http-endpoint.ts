import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface ReceivedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values as they were sent. */
  readonly rawHeaders: readonly string[];
  /** As sent. */
  readonly bytes: Buffer;
  /** Decompressed. */
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `hang`: no answer; `reset`: the connection is reset after the request was read. */
export type Reaction = Answer | 'hang' | 'reset';

/** A local HTTP server that records every request and answers as the test says. */
export class HttpEndpointServer implements AsyncDisposable {
  readonly requests: ReceivedRequest[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => this.#handle(request, response));
  readonly #react: (request: ReceivedRequest) => Reaction;

  static async start(react: (request: ReceivedRequest) => Reaction): Promise<HttpEndpointServer> {
    const server = new HttpEndpointServer(react);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor(react: (request: ReceivedRequest) => Reaction) {
    this.#react = react;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', () => {}); // the sink has aborted the request
    request.on('end', () => {
      const bytes = Buffer.concat(pieces);
      const isCompressed = request.headers['content-encoding'] === 'gzip';
      const received: ReceivedRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        bytes,
        body: (isCompressed ? gunzipSync(bytes) : bytes).toString('utf8'),
      };
      this.requests.push(received);
      const reaction = this.#react(received);
      if (reaction === 'hang') return;
      if (reaction === 'reset') request.socket.resetAndDestroy();
      else response.writeHead(reaction.status, reaction.headers).end(reaction.body ?? '');
    });
  }
}
