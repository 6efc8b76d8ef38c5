import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { HecCollector, type Reaction } from './hec-collector.ts';
import type { HecServer, HecServerOptions, LoggedRequest } from './hec-types.ts';

export type { Fault, HecServer, HecServerOptions } from './hec-types.ts';

/** A collector on loopback; see `HecCollector` for how it behaves. */
export async function startHecServer(options: HecServerOptions = {}): Promise<HecServer> {
  const server = new LoopbackServer(options);
  await server.listen();
  return server;
}

class LoopbackServer implements HecServer {
  url = '';
  readonly requests: LoggedRequest[] = [];
  readonly #options: HecServerOptions;
  readonly #collector: HecCollector;
  readonly #balancer: Balancer;
  readonly #http: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<{ readonly condition: () => boolean; readonly resolve: () => void }>();

  constructor(options: HecServerOptions) {
    this.#options = options;
    this.#collector = new HecCollector(options);
    this.#balancer = new Balancer(options.backends);
    const listener = (message: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => {});
      this.#handle(message, response)
        .catch(() => message.socket.destroy())
        .finally(() => this.#evaluate());
    };
    this.#http = options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
    this.#http.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<void> {
    const { tls, port = 0, pathPrefix = '' } = this.#options;
    await new Promise<void>((resolve) => this.#http.listen(port, '127.0.0.1', resolve));
    const { port: bound } = this.#http.address() as AddressInfo;
    this.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound}${pathPrefix}`;
  }

  get events(): HecServer['events'] {
    return this.#collector.events;
  }
  get token(): string {
    return this.#collector.token;
  }
  get count(): number {
    return this.#collector.counts.kept;
  }
  get tokenState(): HecServer['tokenState'] {
    return this.#collector.tokenState;
  }
  set tokenState(state) {
    this.#collector.tokenState = state;
  }

  renew(token: string): void {
    this.#collector.token = token;
  }

  restart(backend?: number): void {
    this.#collector.restart(backend);
  }

  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ condition, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { latencyMs, pathPrefix } = this.#options;
    const url = new URL(message.url ?? '/', 'http://localhost');
    const backend = this.#balancer.backendOf(message.headers.cookie);
    const entry = logEntry(message, url, pathPrefix, body.length, backend);
    this.requests.push(entry);
    if (latencyMs !== undefined) await sleep(latencyMs);
    const request = { method: message.method ?? '', url, headers: message.headers, body, entry };
    write(response, await this.#collector.react(request), entry, this.#balancer.cookieFor(backend));
  }

  #evaluate(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.condition()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}

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
