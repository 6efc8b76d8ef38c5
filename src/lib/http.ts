// One idea, one file: an HTTP client whose every outcome is a value.
import { type ClientRequest, Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import got, { type Got, RequestError } from 'got';
import { type Validity, validityOf } from './certificate.ts';
import { errorCode, errorText } from './network-error.ts';
import { printable } from './printable.ts';
import { proxyFor } from './proxy.ts';
import { attemptTimeoutMs } from './reach.ts';
import type { Secret } from './secret.ts';
import type { TlsMaterial } from './tls.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Close the connection after the status line; `body` of the answer is then empty. */
  readonly statusOnly?: boolean;
}

/** The other side answered, with any status. `body` is as received, not decompressed. */
export interface HttpAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** From the start of the call until the request was written, milliseconds. */
  readonly sentMs: number;
  /** From the start of the call to the answer's headers and to its last byte, milliseconds. */
  readonly headersMs: number;
  readonly elapsedMs: number;
  /** Of the server's certificate, if TLS was used. */
  readonly certificate?: Validity;
}

/** No complete answer was received. */
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
  /** Sends one request: no retry, no redirect, no decompression. @throws the reason of `signal`, and nothing else */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer | HttpFailure>;
}

export interface HttpOptions {
  /** One whole request, milliseconds: from name resolution to the last byte of the answer, a proxy included. */
  readonly timeoutMs: number;
  /** Longest body to accept, bytes as received. */
  readonly maxBodyBytes: number;
  /** Whether a longer body fails the request or is cut off: the answer then has its beginning. Default `fail`. */
  readonly largeBody?: 'fail' | 'cut';
  readonly userAgent: string;
  readonly tls?: TlsMaterial | undefined;
  /** The configured proxy; takes precedence over the environment's. */
  readonly proxy?: Secret | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called once per TLS connection with the end of the server's certificate, milliseconds since the epoch. */
  readonly onCertificate?: (endsAtMs: number) => void;
}

/** Longest header of an answer, bytes; Node's default is 16 KiB. */
const MAX_HEADER_BYTES = 64 * 1024;

/** A thin wrapper around got: answers and failures are values, and no error that carries headers leaves this file. */
export function httpClient(options: HttpOptions): HttpClient {
  const { timeoutMs } = options;
  const clients = new Map<string | undefined, Client>();
  /** Requests through one proxy, or direct ones, share keep-alive connections. */
  const clientFor = (proxy: string | undefined): Client => {
    const client = clients.get(proxy) ?? openClient(options, proxy);
    clients.set(proxy, client);
    return client;
  };
  const reportCertificate = certificateReporter(options.onCertificate);
  return {
    async request(request, signal) {
      signal.throwIfAborted();
      const proxy = proxyFor(new URL(request.url), options.proxy, options.env);
      const abort = new AbortController();
      const onSignal = () => abort.abort();
      signal.addEventListener('abort', onSignal);
      // got's own time-out waits for a connection before it ends the request: with a silent proxy it never gets one.
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        abort.abort();
      }, timeoutMs);
      const exchange = new Exchange();
      try {
        return await exchange.run(clientFor(proxy), request, options, abort, reportCertificate);
      } catch (error) {
        signal.throwIfAborted();
        const answer = request.statusOnly === true ? exchange.answer(Buffer.alloc(0)) : undefined;
        if (answer !== undefined) return answer;
        if (timedOut) return exchange.timeout(timeoutMs, proxy !== undefined);
        return exchange.failure(...explain(error));
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onSignal);
      }
    },
    [Symbol.dispose]() {
      for (const client of clients.values()) client[Symbol.dispose]();
    },
  };
}

/** What is known of one request so far. */
class Exchange {
  readonly #startedMs = performance.now();
  #connected = false;
  #sentMs: number | undefined;
  #headersMs = 0;
  #head: { readonly status: number; readonly headers: IncomingHttpHeaders } | undefined;
  #certificate: Validity | undefined;

  /** @throws got's error, or the reason of `abort` */
  async run(
    { got: client }: Client,
    { method, url, headers, body: sending, statusOnly }: HttpRequest,
    { maxBodyBytes, largeBody }: HttpOptions,
    abort: AbortController,
    reportCertificate: (socket: Socket) => void,
  ): Promise<HttpAnswer | HttpFailure> {
    // A stream, and the body is written into it: got deep-copies a body that is an option, and what its promises refer to
    // stays in memory until the next full garbage collection.
    const stream = client.stream(url, {
      method,
      headers: { ...headers, ...(sending && { 'content-length': String(sending.length) }) },
      signal: abort.signal,
    });
    stream.on('request', (request: ClientRequest) =>
      this.#observe(request, (response) => {
        reportCertificate(response.socket);
        if (statusOnly === true) abort.abort();
      }),
    );
    if (method !== 'GET') stream.end(sending);
    const { body, isWhole } = await readBody(stream as AsyncIterable<Buffer>, maxBodyBytes);
    abort.signal.throwIfAborted();
    const answer = isWhole || largeBody === 'cut' ? this.answer(body) : undefined;
    return answer ?? this.failure('too_large', 'BODY_TOO_LARGE', `the answer is larger than ${maxBodyBytes} bytes`);
  }

  #observe(request: ClientRequest, onResponse: (response: IncomingMessage) => void): void {
    const onConnected = () => {
      this.#connected = true;
    };
    const onSocket = (socket: Socket) => {
      if (!socket.connecting) onConnected();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', onConnected);
    };
    if (request.socket !== null) onSocket(request.socket);
    else request.once('socket', onSocket);
    request.once('finish', () => {
      this.#sentMs = this.#elapsedMs;
    });
    request.once('response', (response) => {
      this.#headersMs = this.#elapsedMs;
      this.#certificate = validityOf(response.socket);
      this.#head = { status: response.statusCode ?? 0, headers: response.headers };
      onResponse(response);
    });
  }

  /** Undefined if no status was received. */
  answer(body: Buffer): HttpAnswer | undefined {
    return (
      this.#head && {
        kind: 'answer',
        ...this.#head,
        body,
        sentMs: this.#sentMs ?? 0,
        headersMs: this.#headersMs,
        elapsedMs: this.#elapsedMs,
        ...(this.#certificate !== undefined && { certificate: this.#certificate }),
      }
    );
  }

  failure(reason: HttpFailure['reason'], code: string, detail: string): HttpFailure {
    return { kind: 'failure', reason, code, detail, connected: this.#connected, elapsedMs: this.#elapsedMs };
  }

  timeout(timeoutMs: number, throughProxy: boolean): HttpFailure {
    const stage = !this.#connected
      ? `no connection${throughProxy ? ' through the proxy' : ''}`
      : this.#sentMs === undefined
        ? 'the request was not written'
        : this.#head === undefined
          ? 'no answer'
          : 'the answer was not complete';
    return this.failure('timeout', 'ETIMEDOUT', `no complete answer within ${timeoutMs} ms: ${stage}`);
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }
}

/**
 * Closes a tunnel through a proxy that is not established within `timeoutMs`, or when the agent is destroyed. Node hands a
 * tunnel to its request, and so to the request's abort, only after the TLS handshake behind the proxy: without this each
 * attempt through a silent proxy would leave a socket open for ever.
 */
class TunnelAgent extends HttpsAgent {
  readonly #timeoutMs: number;
  readonly #pending = new Set<Duplex>();

  constructor(options: ConstructorParameters<typeof HttpsAgent>[0], timeoutMs: number) {
    super(options);
    this.#timeoutMs = timeoutMs;
  }

  override createConnection(...[options, callback]: Parameters<HttpsAgent['createConnection']>) {
    let settle = () => {};
    const socket = super.createConnection(options, (error, stream) => {
      settle();
      callback?.(error, stream);
    });
    if (socket === null || socket === undefined) return socket;
    const timer = setTimeout(() => socket.destroy(), this.#timeoutMs);
    settle = () => {
      clearTimeout(timer);
      this.#pending.delete(socket);
    };
    this.#pending.add(socket);
    socket.once('close', () => settle());
    return socket;
  }

  override destroy(): void {
    for (const socket of this.#pending) socket.destroy();
    super.destroy();
  }
}

/** At most `maxBytes`; leaving the loop closes the connection. */
async function readBody(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<{ body: Buffer; isWhole: boolean }> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stream) {
    pieces.push(piece.subarray(0, Math.max(0, maxBytes - length)));
    length += piece.length;
    if (length > maxBytes) break;
  }
  return { body: Buffer.concat(pieces), isWhole: length <= maxBytes };
}

function certificateReporter(report: HttpOptions['onCertificate']): (socket: Socket) => void {
  const seen = new WeakSet<Socket>();
  return (socket) => {
    if (report === undefined || seen.has(socket)) return;
    seen.add(socket);
    const validity = validityOf(socket);
    if (validity !== undefined) report(validity.toMs);
  };
}

interface Client extends Disposable {
  readonly got: Got;
}

/** got with connections through `proxy`, or direct ones. */
function openClient({ tls, timeoutMs, userAgent }: HttpOptions, proxy: string | undefined): Client {
  const connecting = {
    keepAlive: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: attemptTimeoutMs(timeoutMs),
    ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
  };
  const secure = { ...connecting, ...tls?.secure };
  const https = proxy === undefined ? new HttpsAgent(secure) : new TunnelAgent(secure, timeoutMs);
  const http = new HttpAgent(connecting);
  return {
    got: got.extend({
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      agent: { https, http },
      headers: { 'user-agent': userAgent },
    }),
    [Symbol.dispose]() {
      https.destroy();
      http.destroy();
    },
  };
}

/** Reason, code and detail of a failed request. @throws the error itself if it is a bug of ours */
function explain(error: unknown): [HttpFailure['reason'], string, string] {
  // An error while the body is written comes as the system's own.
  if (!(error instanceof RequestError) && !isSystemError(error)) throw error;
  const code = errorCode(error);
  if (code === 'HPE_HEADER_OVERFLOW')
    return ['network', code, `the header of the answer is larger than ${MAX_HEADER_BYTES / 1024} KiB`];
  // For a failed handshake Node reports EPROTO, and OpenSSL's reason inside a message that also names source files.
  const tls = code === 'EPROTO' ? /SSL routines:[^:]*:([^:]+)/.exec(error.message)?.[1] : undefined;
  if (tls !== undefined)
    return ['network', `ERR_SSL_${tls.toUpperCase().replaceAll(' ', '_')}`, printable(`TLS handshake failed: ${tls}`)];
  // got appends "Request: GET https://…?query" to some messages; the query stays out.
  const detail = errorText(error).replace(/\?[^\s"']*/g, '');
  return [code === 'ERR_PROXY_TUNNEL' ? 'proxy' : 'network', code, detail];
}

/** An error of the system, or of a stream that closed early; not a bug. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && !(error instanceof TypeError) && 'code' in error && typeof error.code === 'string';
}
