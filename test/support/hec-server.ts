import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { HecCollector, type Reaction } from './hec-collector.ts';
import type { HecServer, HecServerOptions, LoggedRequest } from './hec-types.ts';

export type { Fault, HecServer, HecServerOptions } from './hec-types.ts';

/** A collector on loopback; see `HecCollector` for how it behaves. */
export async function startHecServer(options: HecServerOptions = {}): Promise<HecServer> {
  const collector = new HecCollector(options);
  const requests: LoggedRequest[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<{ condition: () => boolean; resolve: () => void }>();
  const balancer = new Balancer(options.backends);

  const handle = async (message: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const url = new URL(message.url ?? '/', 'http://localhost');
    const entry = logEntry(message, url, options.pathPrefix, body.length, balancer.backendOf(message.headers.cookie));
    requests.push(entry);
    if (options.latencyMs !== undefined) await sleep(options.latencyMs);
    const request = { method: message.method ?? '', url, headers: message.headers, body, entry };
    write(response, await collector.react(request), entry, balancer.cookieFor(entry.backend));
  };

  const http = listen(options, (message, response) => {
    response.on('error', () => {});
    handle(message, response)
      .catch(() => message.socket.destroy())
      .finally(() => {
        for (const waiter of waiting) if (waiter.condition()) waiter.resolve();
      });
  });
  http.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(options.port ?? 0, '127.0.0.1', resolve));

  const server: HecServer = {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(http.address() as AddressInfo).port}${options.pathPrefix ?? ''}`,
    requests,
    events: collector.events,
    get token() {
      return collector.token;
    },
    get count() {
      return collector.counts.kept;
    },
    get tokenState() {
      return collector.tokenState;
    },
    set tokenState(state) {
      collector.tokenState = state;
    },
    renew(token) {
      collector.token = token;
    },
    restart: (backend) => collector.restart(backend),
    disconnect() {
      for (const socket of sockets) socket.destroy();
    },
    until(condition) {
      if (condition()) return Promise.resolve();
      return new Promise((resolve) => {
        const waiter = {
          condition,
          resolve: () => {
            waiting.delete(waiter);
            resolve();
          },
        };
        waiting.add(waiter);
      });
    },
    async [Symbol.asyncDispose]() {
      server.disconnect();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}

const listen = ({ tls }: HecServerOptions, listener: (message: IncomingMessage, response: ServerResponse) => void) =>
  tls === undefined ? createHttpServer(listener) : createHttpsServer(tls, listener);

function write(response: ServerResponse, reaction: Reaction, entry: LoggedRequest, cookie: object): void {
  if (reaction === 'reset') response.socket?.destroy();
  if (typeof reaction === 'string') return;
  const { status, body, headers } = reaction;
  entry.status = status;
  const type = typeof body === 'string' ? 'text/html' : 'application/json';
  response.writeHead(status, { 'content-type': type, ...cookie, ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Several indexers behind one address. */
class Balancer {
  readonly #backends: HecServerOptions['backends'];
  readonly #cookie: string;
  #turn = 0;

  constructor(backends: HecServerOptions['backends']) {
    this.#backends = backends;
    this.#cookie = backends?.cookie ?? 'SPLUNKLB';
  }

  backendOf(cookies: string | undefined): number {
    if (this.#backends === undefined) return 0;
    const { balance, count } = this.#backends;
    const sticky = new RegExp(`${this.#cookie}=(\\d+)`).exec(cookies ?? '')?.[1];
    if (balance === 'sticky' && sticky !== undefined && Number(sticky) < count) return Number(sticky);
    return this.#turn++ % count;
  }

  cookieFor(backend: number): object {
    return this.#backends?.balance === 'sticky' ? { 'set-cookie': `${this.#cookie}=${backend}; Path=/` } : {};
  }
}

function logEntry(
  { headers, socket }: IncomingMessage,
  url: URL,
  prefix: string | undefined,
  bytes: number,
  backend: number,
): LoggedRequest {
  const header = headers['x-splunk-request-channel'];
  return {
    kind: kindOf(url.pathname, prefix ?? ''),
    channel: (Array.isArray(header) ? header[0] : header) ?? url.searchParams.get('channel') ?? undefined,
    headers,
    bytes,
    events: 0,
    acks: [],
    backend,
    ...(socket instanceof TLSSocket && { client: String(socket.getPeerCertificate().subject?.CN) }),
  };
}

function kindOf(path: string, prefix: string): LoggedRequest['kind'] {
  if (!path.startsWith(prefix)) return 'other';
  const match = /^\/services\/collector(?:\/(event|ack|health))?(?:\/1\.0)?$/.exec(path.slice(prefix.length));
  if (match === null) return 'other';
  if (match[1] === 'ack' || match[1] === 'health') return match[1];
  return 'data';
}
