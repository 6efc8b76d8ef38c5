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
  /** 0: any free one. */
  readonly port: number;
  /** Names under which it may be asked, besides IP addresses and localhost. */
  readonly hosts: readonly string[];
  /** What it answers, by path. */
  readonly paths: Readonly<Record<string, () => Answer | Promise<Answer>>>;
}

export interface Listener extends AsyncDisposable {
  /** `HOST:PORT` it listens on. */
  readonly address: string;
}

/** A client has so long for its headers, for its whole request, and may be idle for so long, milliseconds. */
const limits = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000, maxHeaderSize: 8 * 1024 };
const idleMs = 10_000;
const mostConnections = 32;

/**
 * A small HTTP server that only tells: GET and HEAD, nothing of a request but its path and Host is looked at, and nobody
 * can keep it busy. @throws the error of `listen`
 */
export async function startListener({ host, port, hosts, paths }: ListenerOptions): Promise<Listener> {
  const known = new Set(hosts.map((name) => name.toLowerCase()));
  const server = createServer({ ...limits, connectionsCheckingInterval: 1_000 }, answering(known, paths));
  server.maxConnections = mostConnections;
  server.setTimeout(idleMs, (socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port, exclusive: true }, resolve);
  await promise;
  server.on('error', () => {});
  const bound = server.address();
  const shown = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${isIP(host) === 6 ? `[${host}]` : host}:${shown}`,
    [Symbol.asyncDispose]: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function answering(known: ReadonlySet<string>, paths: ListenerOptions['paths']): RequestListener {
  return (request, response) => {
    const refusal = refused(request, known);
    if (refusal !== undefined) return send(response, request, refusal);
    const path = request.url?.split('?')[0] ?? '';
    const handle = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (handle === undefined) return send(response, request, plain(404, 'nothing here'));
    (async () => handle())().then(
      (answer) => send(response, request, answer),
      () => send(response, request, plain(500, 'could not be told')),
    );
  };
}

function refused({ method, url, headers }: IncomingMessage, known: ReadonlySet<string>): Answer | undefined {
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET and HEAD only');
  if (!url?.startsWith('/')) return plain(400, 'a path, please');
  // A name that anybody's DNS may point here would let a web page read what only this network may (DNS rebinding).
  if (headers.host !== undefined && !isOurs(headers.host, known))
    return plain(421, 'not known by this name: add it to telemetry.hosts');
  return undefined;
}

/** Whether a Host header holds an IP address, localhost or a name of ours, with or without a port. */
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
    // A request with a body is not read to its end.
    ...(method !== 'GET' && method !== 'HEAD' && { connection: 'close' }),
  });
  response.end(method === 'HEAD' ? undefined : bytes);
}
