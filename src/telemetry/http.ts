import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; charset=utf-8' | 'text/html; charset=utf-8' | (string & {});
  readonly body: string;
  /** Content-Security-Policy, where the body is a page. */
  readonly policy?: string;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Host names accepted in requests, besides IP addresses and localhost. */
  readonly hosts: readonly string[];
  /** The handler of each path. */
  readonly paths: Readonly<Record<string, () => Answer | Promise<Answer>>>;
}

export interface Listener extends AsyncDisposable {
  /** `HOST:PORT` it listens on. */
  readonly address: string;
}

/** Limits for a client: milliseconds for its headers, its whole request and idle time; bytes for its headers. */
const limits = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000, maxHeaderSize: 8 * 1024 };
const idleMs = 10_000;
const MAX_CONNECTIONS = 32;

/**
 * A small read-only HTTP server. It accepts GET and HEAD, reads only a request's path and Host, and limits what a client can
 * occupy. @throws the error of `listen`
 */
export async function startListener({ host, port, hosts, paths }: ListenerOptions): Promise<Listener> {
  const known = new Set(hosts.map((name) => name.toLowerCase()));
  const server = createServer({ ...limits, connectionsCheckingInterval: 1_000 }, requestHandler(known, paths));
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(idleMs, (socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port, exclusive: true }, resolve);
  await promise;
  server.on('error', () => {});
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${isIP(host) === 6 ? `[${host}]` : host}:${boundPort}`,
    [Symbol.asyncDispose]: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function requestHandler(known: ReadonlySet<string>, paths: ListenerOptions['paths']): RequestListener {
  return (request, response) => {
    const rejection = rejectionOf(request, known);
    if (rejection !== undefined) return send(response, request, rejection);
    const path = request.url?.split('?')[0] ?? '';
    const handle = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (handle === undefined) return send(response, request, plain(404, 'not found'));
    (async () => handle())().then(
      (answer) => send(response, request, answer),
      () => send(response, request, plain(500, 'internal error')),
    );
  };
}

function rejectionOf({ method, url, headers }: IncomingMessage, known: ReadonlySet<string>): Answer | undefined {
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET and HEAD only');
  if (!url?.startsWith('/')) return plain(400, 'the request target must be a path');
  // Prevents DNS rebinding: a web page could otherwise read this listener under its own host name.
  if (headers.host !== undefined && !isOurs(headers.host, known))
    return plain(421, 'unknown host name: add it to telemetry.hosts');
  return undefined;
}

/** Whether a Host header, with or without a port, holds an IP address, localhost or a known name. */
export function isOurs(host: string, known: ReadonlySet<string>): boolean {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(host.trim().toLowerCase());
  if (match?.[1] !== undefined) return isIP(match[1]) === 6;
  const name = match?.[2] ?? '';
  return isIP(name) === 4 || name === 'localhost' || known.has(name);
}

const plain = (status: number, text: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${text}\n`,
});

function send(response: ServerResponse, { method }: IncomingMessage, { status, type, body, policy }: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'content-security-policy': policy ?? "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(status === 405 && { allow: 'GET, HEAD' }),
    // The body of such a request is not read.
    ...(method !== 'GET' && method !== 'HEAD' && { connection: 'close' }),
  });
  response.end(method === 'HEAD' ? undefined : bytes);
}
