import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import got, { RequestError, TimeoutError } from 'got';
import { type Validity, validityOf } from './certificate.ts';
import { printable } from './printable.ts';
import type { Secret } from './secret.ts';
import type { TlsMaterial } from './tls.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Let go of the connection after the status line; `body` is then empty. */
  readonly statusOnly?: boolean;
}

/** The other side answered, whatever it said. `body` is as it came, not decompressed. */
export interface HttpAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** From the start of the call to when the request was on the wire, milliseconds. */
  readonly sentMs: number;
  /** From the start of the request to the answer's headers and to its last byte, milliseconds. */
  readonly headersMs: number;
  readonly elapsedMs: number;
  /** Of the server's certificate, where TLS was spoken. */
  readonly certificate?: Validity;
}

/** No whole answer came. */
export interface HttpFailure {
  readonly kind: 'failure';
  readonly reason: 'network' | 'timeout' | 'too_large' | 'proxy';
  /** The system's or got's code, for example ECONNREFUSED. */
  readonly code: string;
  /** One printable line; names neither headers nor query. */
  readonly detail: string;
  /** The connection was established, TLS included: some or all of the request may have reached the other side. */
  readonly connected: boolean;
  readonly elapsedMs: number;
}

export interface HttpClient extends Disposable {
  /** Asks once: no retry, no redirect, no decompression. @throws the reason of `signal`, and nothing else */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer | HttpFailure>;
}

export interface HttpOptions {
  /** One whole request, milliseconds. */
  readonly timeoutMs: number;
  /** Longest body to take, bytes as they come. */
  readonly maxBodyBytes: number;
  /** A longer one fails the request, or is cut: the answer then comes with the beginning. Default `fail`. */
  readonly largeBody?: 'fail' | 'cut';
  readonly userAgent: string;
  readonly tls?: TlsMaterial | undefined;
  /** The configured proxy; wins over the environment's. */
  readonly proxy?: Secret | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called once a TLS connection with when the server's certificate ends, milliseconds since the epoch. */
  readonly onCertificate?: (endsAtMs: number) => void;
}

/** got behind a small door: answers and failures are values, and no error that carries headers leaves this file. */
export function httpClient(options: HttpOptions): HttpClient {
  const proxyEnv = proxyEnvironment(options);
  const https = new HttpsAgent({ keepAlive: true, ...(proxyEnv && { proxyEnv }), ...options.tls?.secure });
  const http = new HttpAgent({ keepAlive: true, ...(proxyEnv && { proxyEnv }) });
  const client = got.extend({
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    timeout: { request: options.timeoutMs },
    agent: { https, http },
    headers: { 'user-agent': options.userAgent },
  });

  const seen = new WeakSet<Socket>();
  const lookAtCertificate = (socket: Socket) => {
    if (options.onCertificate === undefined || !(socket instanceof TLSSocket) || seen.has(socket)) return;
    seen.add(socket);
    const endsAtMs = Date.parse(socket.getPeerCertificate().valid_to);
    if (!Number.isNaN(endsAtMs)) options.onCertificate(endsAtMs);
  };

  return {
    // Taken apart, so that what is called back does not hold on to the body.
    async request({ method, url, headers, body: sending, statusOnly = false }, signal) {
      signal.throwIfAborted();
      const own = new AbortController();
      const relay = () => own.abort();
      signal.addEventListener('abort', relay);
      const started = performance.now();
      const elapsed = () => performance.now() - started;
      let headersMs = 0;
      let sentMs = 0;
      let connected = false;
      const learnt: { head?: { status: number; headers: IncomingHttpHeaders }; certificate?: Validity } = {};
      const answer = (body: Buffer): HttpAnswer | undefined =>
        learnt.head && {
          kind: 'answer',
          ...learnt.head,
          body,
          sentMs,
          headersMs,
          elapsedMs: elapsed(),
          ...(learnt.certificate !== undefined && { certificate: learnt.certificate }),
        };
      try {
        // As a stream, and the body written into it: of what got is given as an option it makes a deep copy, and all that its
        // promises or such bodies take part in stays in memory until the next full garbage collection.
        const stream = client.stream(url, {
          method,
          headers: { ...headers, ...(sending && { 'content-length': String(sending.length) }) },
          signal: own.signal,
        });
        stream.on('request', (sent: ClientRequest) => {
          const onConnected = () => {
            connected = true;
          };
          const onSocket = (socket: Socket) => {
            if (!socket.connecting) onConnected();
            else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', onConnected);
          };
          if (sent.socket !== null) onSocket(sent.socket);
          else sent.once('socket', onSocket);
          sent.once('finish', () => {
            sentMs = elapsed();
          });
          sent.once('response', (response) => {
            headersMs = elapsed();
            const certificate = validityOf(response.socket);
            if (certificate !== undefined) learnt.certificate = certificate;
            lookAtCertificate(response.socket);
            learnt.head = { status: response.statusCode ?? 0, headers: response.headers };
            if (statusOnly) own.abort();
          });
        });
        if (method === 'POST') stream.end(sending);
        const pieces: Buffer[] = [];
        let length = 0;
        for await (const piece of stream as AsyncIterable<Buffer>) {
          pieces.push(piece.subarray(0, Math.max(0, options.maxBodyBytes - length)));
          length += piece.length;
          // To leave the loop is to let go of the connection.
          if (length > options.maxBodyBytes) break;
        }
        signal.throwIfAborted();
        if (length <= options.maxBodyBytes) {
          const whole = answer(Buffer.concat(pieces, length));
          if (whole !== undefined) return whole;
        }
        return (
          (options.largeBody === 'cut' && answer(Buffer.concat(pieces))) || {
            kind: 'failure',
            reason: 'too_large',
            code: 'BODY_TOO_LARGE',
            detail: `the answer is larger than ${options.maxBodyBytes} bytes`,
            connected,
            elapsedMs: elapsed(),
          }
        );
      } catch (error) {
        signal.throwIfAborted();
        const bare = statusOnly ? answer(Buffer.alloc(0)) : undefined;
        return bare ?? { ...describe(error, options.timeoutMs), connected, elapsedMs: elapsed() };
      } finally {
        signal.removeEventListener('abort', relay);
      }
    },
    [Symbol.dispose]() {
      https.destroy();
      http.destroy();
    },
  };
}

function proxyEnvironment(options: HttpOptions): Record<string, string> | undefined {
  const given = options.proxy?.reveal();
  if (given !== undefined) return { HTTP_PROXY: given, HTTPS_PROXY: given };
  const env = options.env ?? {};
  const https = env['HTTPS_PROXY'] ?? env['https_proxy'];
  if (https === undefined || https === '') return undefined;
  const none = env['NO_PROXY'] ?? env['no_proxy'];
  return { HTTPS_PROXY: https, ...(none !== undefined && { NO_PROXY: none }) };
}

function describe(error: unknown, timeoutMs: number): Omit<HttpFailure, 'connected' | 'elapsedMs'> {
  // What goes wrong while the body is written comes as the system tells it.
  if (!(error instanceof RequestError) && !isOutside(error)) throw error;
  const cause = (error.cause ?? {}) as { code?: unknown };
  const given = String(error.code ?? cause.code ?? 'ERR_UNKNOWN');
  if (error instanceof TimeoutError)
    return {
      kind: 'failure',
      reason: 'timeout',
      code: given,
      detail: `no whole answer within ${timeoutMs} ms (${error.event})`,
    };
  // Of a failed handshake Node tells EPROTO, and OpenSSL's reason inside a message that also names source files.
  const tls = given === 'EPROTO' ? /SSL routines:[^:]*:([^:]+)/.exec(error.message)?.[1] : undefined;
  if (tls !== undefined)
    return {
      kind: 'failure',
      reason: 'network',
      code: `ERR_SSL_${tls.toUpperCase().replaceAll(' ', '_')}`,
      detail: printable(`TLS handshake failed: ${tls}`),
    };
  // got appends "Request: GET https://…?query" to some messages; the query stays out.
  const detail = printable(error.message.replace(/\?[^\s"']*/g, ''));
  return { kind: 'failure', reason: given === 'ERR_PROXY_TUNNEL' ? 'proxy' : 'network', code: given, detail };
}

/** A system's error, or that of a stream that closed early; not a bug. */
function isOutside(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && !(error instanceof TypeError) && 'code' in error && typeof error.code === 'string';
}
