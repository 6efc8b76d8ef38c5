import { connect, isIP, type Socket } from 'node:net';
import { type PeerCertificate, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { type ConnectionFailure, failureOf, hinted, retryFault } from './failures.ts';
import { TcpTable } from './tcp-table.ts';

export interface OpenConnectionOptions {
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string };
  /** The address as a log line shows it. */
  readonly where: string;
  /** Present: TLS from the first byte. */
  readonly tls?: Credentials | undefined;
  readonly onCertificate?: (certificate: PeerCertificate) => void;
  /** Shared by the connections of a sink: what one of them learns spares the next a look. */
  readonly table?: TcpTable;
  /** Longest wait for the connection with its handshake, and for one write to be taken, milliseconds. */
  readonly timeoutMs: number;
}

/** When the first of several addresses has not answered for so long the next is tried, milliseconds. */
const nextAddressMs = 1_000;
const keepAliveMs = 30_000;

/** Connects, trying every address the name has now. @throws the reason of `kill` */
export async function openConnection(
  options: OpenConnectionOptions,
  kill: AbortSignal,
): Promise<Connection | ConnectionFailure> {
  kill.throwIfAborted();
  const { to, tls, where, timeoutMs, table = new TcpTable() } = options;
  const raw = connect({
    ...to,
    ...('host' in to && { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: nextAddressMs, noDelay: true }),
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  }).on('error', () => {});
  let socket = raw;
  const killed = () => socket.destroy();
  let late: ConnectionFailure | undefined;
  const timer = setTimeout(() => {
    const what = socket === raw ? 'no connection' : 'no TLS handshake (does it speak TLS there?)';
    late = retryFault('timeout', `${where}: ${what} within ${timeoutMs} ms`, 'ETIMEDOUT');
    socket.destroy();
  }, timeoutMs);
  kill.addEventListener('abort', killed);
  try {
    const startedMs = performance.now();
    await ready(raw, 'connect');
    const rules = { where, timeoutMs, table, connectMs: performance.now() - startedMs };
    if (tls === undefined) return new Connection(raw, raw, rules);
    const secure = secured(raw, to, tls);
    socket = secure.on('error', () => {});
    await ready(secure, 'secureConnect');
    options.onCertificate?.(secure.getPeerCertificate());
    return new Connection(secure, raw, { ...rules, earlyCloseHint: hintOf(tls) });
  } catch (error) {
    socket.destroy();
    raw.destroy();
    kill.throwIfAborted();
    const fault = late ?? failureOf(error, where);
    return socket === raw || tls === undefined ? fault : hinted(fault, hintOf(tls));
  } finally {
    clearTimeout(timer);
    kill.removeEventListener('abort', killed);
  }
}

const hintOf = (tls: Credentials) =>
  `does it ${tls.hasClientCertificate ? 'trust our' : 'ask for a'} client certificate?`;

/** `openWire`, and a look whether the connection lasts for `watchMs`. @throws the reason of `kill` */
export async function openWithExpiryCheck(
  options: OpenConnectionOptions,
  watchMs: number,
  kill: AbortSignal,
): Promise<Connection | ConnectionFailure> {
  const wire = await openConnection(options, kill);
  if (!(wire instanceof Connection) || watchMs === 0) return wire;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, watchMs);
  const killed = () => wire.destroy();
  kill.addEventListener('abort', killed);
  wire.whenOver(resolve);
  await promise;
  clearTimeout(timer);
  kill.removeEventListener('abort', killed);
  kill.throwIfAborted();
  return wire.fault ?? wire;
}

/** Resolves with the event; rejects with the socket's error, also for a close before it. */
function ready(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () =>
      reject(Object.assign(new Error('the collector closed the connection'), { code: 'ECONNRESET' })),
    );
  });
}

/** The name is checked against the address as configured, or `tls.servername`; an IP address is never asked for by SNI. */
function secured(raw: Socket, to: OpenConnectionOptions['to'], tls: Credentials): TLSSocket {
  const host = 'host' in to ? to.host : '';
  const given = tls.current();
  return tlsConnect({ ...given, socket: raw, host, servername: given.servername ?? (isIP(host) === 0 ? host : '') });
}
