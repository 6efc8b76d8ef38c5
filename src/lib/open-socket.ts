import { type LookupAddress, lookup } from 'node:dns';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { untilAborted } from './shutdown.ts';

export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** Every address of a name, in the order in which connections try them. @throws the resolver's error */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>;

const systemLookup: Lookup = (host) => promisify(lookup)(host, { all: true });

export interface OpenSocketOptions {
  readonly to: Endpoint;
  /** For all of it: resolving the name, and every address, each of which gets its share of what is left, milliseconds. */
  readonly timeoutMs: number;
  readonly lookup?: Lookup | undefined;
}

export interface OpenedSocket {
  readonly socket: Socket;
  /** How long the successful attempt took, milliseconds. */
  readonly connectMs: number;
}

/** The addresses of `host`, or why there are none. Never rejects, and does not outlast the signal or `timeoutMs`. */
export async function resolveHost(
  host: string,
  timeoutMs: number,
  signal: AbortSignal,
  resolve: Lookup = systemLookup,
): Promise<readonly LookupAddress[] | NodeJS.ErrnoException> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), timeoutMs);
  const found = resolve(host).catch((error: NodeJS.ErrnoException) => error);
  const either = untilAborted(giveUp.signal, found);
  const addresses = await untilAborted(signal, either);
  clearTimeout(timer);
  return addresses ?? failure('ETIMEDOUT', `the name ${host} was not resolved within ${timeoutMs} ms`);
}

/**
 * Opens a TCP or Unix stream connection. Returns the error of the last step if that fails; with several addresses one that
 * names each and its error. Never rejects. The socket has no listener yet but one for errors, which ignores them.
 */
export async function openSocket(
  { to, timeoutMs, lookup }: OpenSocketOptions,
  signal: AbortSignal,
): Promise<OpenedSocket | NodeJS.ErrnoException> {
  if ('path' in to) return attempt(connect(to), to.path, timeoutMs, signal);
  const startedMs = performance.now();
  const addresses = await resolveHost(to.host, timeoutMs, signal, lookup);
  if (addresses instanceof Error) return addresses;
  const errors: NodeJS.ErrnoException[] = [];
  for (const [index, { address: host, family }] of addresses.entries()) {
    if (signal.aborted) break;
    const leftMs = timeoutMs - (performance.now() - startedMs);
    const shareMs = Math.max(1, Math.round(leftMs / (addresses.length - index)));
    const name = family === 6 ? `[${host}]:${to.port}` : `${host}:${to.port}`;
    const opened = await attempt(connect({ host, port: to.port, noDelay: true }), name, shareMs, signal);
    if (!(opened instanceof Error)) return opened;
    errors.push(opened);
  }
  return combined(errors);
}

/** One error for all addresses, with the code of the first. */
export function combined(errors: readonly NodeJS.ErrnoException[]): NodeJS.ErrnoException {
  const [first] = errors;
  if (first === undefined) return failure('ENOTFOUND', 'the name has no address');
  if (errors.length === 1) return first;
  return Object.assign(new AggregateError(errors), { code: first.code ?? 'ERR_UNKNOWN' });
}

function attempt(
  socket: Socket,
  name: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<OpenedSocket | NodeJS.ErrnoException> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const end = (outcome: OpenedSocket | NodeJS.ErrnoException) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('connect', connected);
      if (outcome instanceof Error) socket.destroy();
      resolve(outcome);
    };
    const abort = () => end(failure('ABORT_ERR', `connecting to ${name} was interrupted`));
    const connected = () => end({ socket, connectMs: performance.now() - startedMs });
    const timer = setTimeout(
      () => end(failure('ETIMEDOUT', `connect ETIMEDOUT ${name}: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.on('error', end).on('connect', connected);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}

const failure = (code: string, message: string): NodeJS.ErrnoException => Object.assign(new Error(message), { code });
