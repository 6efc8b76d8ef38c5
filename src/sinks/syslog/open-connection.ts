import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, type PeerCertificate, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type Endpoint, type Lookup, openSocket } from '../../lib/open-socket.ts';
import { Connection } from './connection.ts';
import { type ConnectionFailure, failureOf, retryFailure, withHint } from './failures.ts';
import type { TcpInfo } from './tcp-info.ts';

export interface OpenConnectionOptions {
  readonly to: Endpoint;
  /** The address as log lines show it. */
  readonly where: string;
  /** Present: TLS from the first byte. */
  readonly tls?: {
    readonly hasClientCertificate: boolean;
    current(): ConnectionOptions;
    connected?(certificate: PeerCertificate): void;
  };
  /** Undefined if the kernel can't be asked. */
  readonly tcpInfo?: Promise<TcpInfo | undefined>;
  /** For the name, all its addresses and the handshake together; then for each lack of progress, milliseconds. */
  readonly timeoutMs: number;
  readonly lookup?: Lookup;
}

const keepAliveMs = 30_000;

/** Connects, trying every address that the name has now. @throws the reason of `signal` */
export async function openConnection(
  options: OpenConnectionOptions,
  signal: AbortSignal,
): Promise<Connection | ConnectionFailure> {
  signal.throwIfAborted();
  const { to, tls, where, timeoutMs } = options;
  const tcpInfo = 'path' in to ? undefined : await options.tcpInfo;
  const startedMs = performance.now();
  const opened = await openSocket({ to, timeoutMs, lookup: options.lookup }, signal);
  if (opened instanceof Error) {
    signal.throwIfAborted();
    return failureOf(opened, where);
  }
  const { socket: raw, connectMs } = opened;
  raw.setKeepAlive(true, keepAliveMs);
  const connectionOptions = { where, timeoutMs, tcpInfo, connectMs };
  if (tls === undefined) return new Connection(raw, raw, connectionOptions);
  const hint = `does it ${tls.hasClientCertificate ? 'trust our' : 'require a'} client certificate?`;
  const socket = secured(raw, to, tls.current());
  const error = await handshake(socket, timeoutMs - (performance.now() - startedMs), signal);
  if (error === undefined) {
    tls.connected?.(socket.getPeerCertificate());
    return new Connection(socket, raw, { ...connectionOptions, earlyCloseHint: hint });
  }
  socket.destroy();
  raw.destroy();
  signal.throwIfAborted();
  if (error === 'late') {
    const detail = `${where}: no TLS handshake within ${timeoutMs} ms (does it speak TLS there?)`;
    return retryFailure('timeout', detail, 'ETIMEDOUT');
  }
  return withHint(failureOf(error, where), hint);
}

/** Opens a connection and waits for `watchMs` whether it lasts. @throws the reason of `signal` */
export async function openLastingConnection(
  options: OpenConnectionOptions,
  watchMs: number,
  signal: AbortSignal,
): Promise<Connection | ConnectionFailure> {
  const connection = await openConnection(options, signal);
  if (!(connection instanceof Connection) || watchMs === 0) return connection;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, watchMs);
  const abort = () => connection.destroy();
  signal.addEventListener('abort', abort);
  connection.whenOver(resolve);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', abort);
  signal.throwIfAborted();
  return connection.failure ?? connection;
}

/** The name is checked against the host of the address, or `tls.servername`; SNI never carries an IP address. */
function secured(raw: Socket, to: Endpoint, options: ConnectionOptions): TLSSocket {
  const host = 'host' in to ? to.host : '';
  return tlsConnect({
    ...options,
    socket: raw,
    host,
    servername: options.servername ?? (isIP(host) === 0 ? host : ''),
  });
}

/** Undefined once the connection is secured; else the error, also for a close before, or `late`. */
function handshake(socket: TLSSocket, timeoutMs: number, signal: AbortSignal): Promise<Error | 'late' | undefined> {
  return new Promise((resolve) => {
    const end = (outcome?: Error | 'late') => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('close', closed);
      resolve(outcome);
    };
    const closed = () => end(Object.assign(new Error('the collector closed the connection'), { code: 'ECONNRESET' }));
    const abort = () => end(new Error('aborted'));
    const timer = setTimeout(() => end('late'), timeoutMs);
    // The listener for errors stays: one that comes between two listeners would end the process.
    socket
      .on('error', end)
      .once('close', closed)
      .once('secureConnect', () => end());
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}
